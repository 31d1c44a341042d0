use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::TracerProviderBuilder;
use towline_otlp::{ClientOptions, Discard, Exporter, ExporterBuilder, reach};
use towline_propagation::Propagator;
use towline_sampler::{Control, Rate, Sampler};

use super::announce::{self, Announcement};
use super::limits;
use super::provided::{self, Provided};
use super::reload::Basis;
use super::target::{self, Target};
use super::{certificates, exporter};
use crate::config::{Problem, Problems, Settings};
use crate::environment::Variables;
use crate::handle::{Parts, Role};
use crate::resource::{Said as SaidOfResource, resource};
use crate::{StartError, StartErrorKind, Towline, TowlineBuilder, propagator};

/// What would be started, and what is wrong with it.
pub(super) struct Planned {
    /// None where so much is wrong that there is nothing to plan.
    pub(super) plan: Option<Plan>,
    pub(super) problems: Problems,
    /// What in the environment is of no use, where that matters.
    pub(super) complaints: Vec<String>,
}

pub(super) enum Plan {
    Off(Box<Off>),
    Provided(Box<Provided>),
    Own(Box<Own>),
}

/// No tracing.
pub(super) struct Off {
    propagator: Propagator,
    basis: Basis,
    complaints: Vec<String>,
}

/// A provider of our own.
pub(super) struct Own {
    pub(super) target: Option<Target>,
    pub(super) sampler: Sampler,
    pub(super) resource: Resource,
    pub(super) propagator: Propagator,
    settings: Settings,
    client: Option<ClientOptions>,
    /// None where spans go to somebody's processors alone.
    exporter: Option<ExporterBuilder>,
    provider: TracerProviderBuilder,
    /// Whether somebody wants to see the SDK's spans.
    has_processors: bool,
    random_trace_ids: bool,
    pub(super) basis: Basis,
    complaints: Vec<String>,
}

/// Looks at everything that was said, and notes all that is wrong.
pub(super) fn make(mut builder: TowlineBuilder) -> Planned {
    let mut problems = std::mem::take(&mut builder.problems);
    if builder.is_unreadable {
        return Planned {
            plan: None,
            problems,
            complaints: Vec::new(),
        };
    }
    let mut variables = Variables::read(&builder.environment);
    // Contexts are passed on also where nothing is recorded.
    let named = std::mem::take(&mut variables.propagators);
    let of_propagators: Vec<String> = named.complaint.iter().cloned().collect();
    let propagator = propagator::find(&builder, named);
    let mut complaints = std::mem::take(&mut variables.complaints);
    complaints.extend(of_propagators.iter().cloned());
    target::check_urls(&builder, &mut problems);
    let basis = Basis::new(&builder, &variables);
    // One that cannot be read may have meant yes.
    let is_enabled =
        basis.is_enabled() || (builder.broken.contains(&"enabled") && !variables.disabled);
    let (plan, complaints) = if !is_enabled {
        let off = Off {
            propagator,
            basis,
            complaints: of_propagators.clone(),
        };
        (Plan::Off(Box::new(off)), of_propagators)
    } else if let Some((provider, sampler)) = builder.provider.take() {
        provided::check(&builder, &mut problems);
        let rate = sampler.control().rate();
        let provided = Provided {
            provider,
            sampler,
            propagator,
            random_trace_ids: builder.random_trace_ids,
            basis: basis.with_rate(rate),
            complaints: complaints.clone(),
        };
        (Plan::Provided(Box::new(provided)), complaints)
    } else {
        let own = own(
            builder,
            variables,
            propagator,
            basis,
            &complaints,
            &mut problems,
        );
        (Plan::Own(Box::new(own)), complaints)
    };
    Planned {
        plan: Some(plan),
        problems,
        complaints,
    }
}

fn own(
    mut builder: TowlineBuilder,
    mut variables: Variables,
    propagator: Propagator,
    basis: Basis,
    complaints: &[String],
    problems: &mut Problems,
) -> Own {
    let target = Target::find(&mut builder, &variables, problems);
    let mut settings = basis.settings().clone();
    certificates::drop_unused(&mut settings, target.as_ref());
    let before = problems.count();
    certificates::check(&settings, target.as_ref(), problems);
    if problems.count() > before {
        // So that the rest can be looked at without them.
        settings.ca_certs = None;
        settings.https_keypairs = None;
    }
    let client = target
        .as_ref()
        .and_then(|target| exporter::client(&settings, target, problems));
    let said_rate = settings.sampling_rate_per_million.as_ref();
    let is_of_code = builder.sampler.is_some();
    let by_default = builder.sampler.or(variables.sampler.take());
    let rate = by_default
        .as_ref()
        .map_or(Rate::NEVER, |sampler| sampler.control().rate());
    let sampler = match by_default {
        Some(sampler) if is_of_code || said_rate.is_none() => sampler,
        _ => Sampler::new(Control::new(Rate::NEVER)),
    };
    let basis = basis.with_rate(rate);
    let by_file = settings.resource_attributes.as_ref();
    let resource = resource(SaidOfResource {
        service_name: settings
            .service_name
            .as_ref()
            .map(|said| said.value.clone()),
        by_environment: variables.resource_attributes,
        by_file: by_file.map_or_else(Vec::new, |said| said.value.0.clone()),
        by_code: builder.resource_attributes,
    });
    let provider = builder
        .processors
        .with_sampler(sampler.clone())
        .with_span_limits(limits::counts(&settings))
        .with_resource(resource.clone());
    let exporter = match &target {
        Some(Target::Processors) => None,
        target => {
            let mut exporter = exporter::set_on(Exporter::builder(), &settings);
            if let Some(client) = &client {
                exporter = exporter.client(client.clone());
            }
            for options in builder.exporter_options {
                exporter = options(exporter);
            }
            let exporter = match target {
                Some(target) => target.set_on(exporter),
                // What else is wrong can be found all the same.
                None => exporter.transport(Discard::new()),
            };
            Some(exporter.resource(resource.clone()))
        }
    };
    Own {
        target,
        sampler,
        resource,
        propagator,
        has_processors: builder.has_processors,
        settings,
        client,
        exporter,
        provider,
        random_trace_ids: builder.random_trace_ids,
        basis,
        complaints: complaints.to_vec(),
    }
}

/// Looks at what the exporter would find when it is built.
pub(super) fn check(planned: &mut Planned) {
    if let Some(Plan::Own(own)) = &planned.plan
        && let Some(exporter) = &own.exporter
        && let Err(error) = exporter.check()
    {
        let target = own.target.as_ref();
        let problem = exporter::problem(error, &own.settings, target);
        planned.problems.push(problem);
    }
}

/// Tries to reach the collector, if there is one.
pub(super) fn connect(planned: &mut Planned, deadline: Duration) -> Option<bool> {
    let Some(Plan::Own(own)) = &planned.plan else {
        return None;
    };
    let (Some(target @ Target::Endpoint(_, origin)), Some(client)) = (&own.target, &own.client)
    else {
        return None;
    };
    let endpoint = target.collector()?;
    let result = reach(endpoint, client, deadline);
    let is_reached = result.is_ok();
    if let Err(error) = result {
        let rest = format!(": {error}");
        let problem = Problem::of(StartErrorKind::Unreachable, origin, rest);
        planned.problems.push(problem.with_causes_of(&error));
    }
    Some(is_reached)
}

// === impl Off ===

impl Off {
    pub(super) fn start(self) -> Towline {
        announce::complain(&self.complaints);
        Towline::passing(self.propagator, self.basis)
    }
}

// === impl Own ===

impl Own {
    /// The rate that would be in force.
    pub(super) fn rate(&self) -> Rate {
        let said = self.settings.sampling_rate_per_million.as_ref();
        said.map_or_else(|| self.sampler.control().rate(), |said| said.value)
    }

    pub(super) fn start(self) -> Result<Towline, StartError> {
        let rate = self.rate();
        // The thread of the exporter is started last, when nothing else can fail.
        let (provider, exporter) = match self.exporter {
            None => (self.provider, None),
            Some(exporter) => {
                let (processor, exporter) = exporter.build().map_err(|error| {
                    let target = self.target.as_ref();
                    StartError::new(exporter::problem(error, &self.settings, target))
                })?;
                exporter.set_attribute_value_length_limit(limits::value_chars(&self.settings));
                let provider = self.provider.with_span_processor(processor);
                (provider, Some(exporter))
            }
        };
        // One that code brings is touched only now.
        self.sampler.control().set_rate(rate);
        if let Some(target) = &self.target {
            Announcement {
                exporter: target,
                sampler: &self.sampler,
                propagator: &self.propagator,
                trust: announce::trust(self.basis.settings()),
                resource: Some(&self.resource),
            }
            .tell(&self.complaints);
        }
        let recorder_limits = (!self.has_processors).then(|| limits::counts(&self.settings));
        Ok(Towline::new(Parts {
            provider: provider.build(),
            sampler: self.sampler,
            exporter,
            recorder_limits,
            propagator: self.propagator,
            random_trace_ids: self.random_trace_ids,
            role: Role::Owner,
            basis: self.basis,
        }))
    }
}
