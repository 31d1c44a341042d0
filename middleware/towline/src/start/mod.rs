//! From what was said to what runs.

mod announce;
mod client;
mod origin;
mod provided;
mod target;

use std::mem;

use towline_otlp::Exporter;
use towline_sampler::{Control, Rate, Sampler};

use self::target::Target;
use crate::environment::Variables;
use crate::handle::{Parts, Role};
use crate::resource::{Said, resource};
use crate::{StartError, Towline, TowlineBuilder, propagator};

pub(crate) fn start(mut builder: TowlineBuilder) -> Result<Towline, StartError> {
    let mut variables = Variables::read(&builder.environment);
    target::check_urls(&builder)?;
    // Contexts are passed on also where nothing is recorded.
    let named = mem::take(&mut variables.propagators);
    announce::complain(&named.complaint);
    let propagator = propagator::find(&builder, named);
    if !is_enabled(&builder, &variables) {
        return Ok(Towline::passing(propagator));
    }
    if let Some(provided) = builder.provider.take() {
        return provided::start(provided, builder, propagator, &variables);
    }
    let target = Target::find(&mut builder, &variables)?;
    let described = target.to_string();
    let sampler = sampler(&builder, variables.sampler.take());
    let service_name = builder
        .code
        .service_name()
        .or(builder.config.service_name())
        .map(ToOwned::to_owned);
    let resource = resource(Said {
        service_name: service_name.or(variables.service_name),
        by_environment: variables.resource_attributes,
        by_code: builder.resource_attributes,
    });
    let provider = builder
        .processors
        .with_sampler(sampler.clone())
        .with_resource(resource.clone());
    let client = client::options(&builder.config, variables.client, &target)?;
    // The thread of the exporter is started last, when nothing else can fail.
    let (provider, exporter) = match target {
        Target::Processors => (provider, None),
        target => {
            let mut exporter = variables.batching.apply(Exporter::builder());
            if let Some(client) = client {
                exporter = exporter.client(client);
            }
            for options in builder.exporter_options {
                exporter = options(exporter);
            }
            let (processor, exporter) = target
                .set_on(exporter)
                .resource(resource.clone())
                .build()
                .map_err(|error| target.error(error))?;
            (provider.with_span_processor(processor), Some(exporter))
        }
    };
    announce::started(&described, &sampler, Some(&resource), &variables.complaints);
    Ok(Towline::new(Parts {
        provider: provider.build(),
        sampler,
        exporter,
        propagator,
        random_trace_ids: builder.random_trace_ids,
        role: Role::Owner,
    }))
}

fn is_enabled(builder: &TowlineBuilder, variables: &Variables) -> bool {
    if variables.disabled {
        return false;
    }
    let said = builder.code.enabled().or(builder.config.enabled());
    said.unwrap_or_else(|| {
        builder.code.exporter_url().is_some()
            || builder.transport.is_some()
            || builder.late_transport
            || builder.has_processors
            || builder.provider.is_some()
            || variables.exporter.is_some()
    })
}

/// A rate that was said is set on the sampler that code brings; without either it is the environment's.
fn sampler(builder: &TowlineBuilder, by_environment: Option<Sampler>) -> Sampler {
    let rate = builder
        .code
        .sampling_rate()
        .or(builder.config.sampling_rate());
    match (&builder.sampler, rate) {
        (Some(sampler), rate) => {
            if let Some(rate) = rate {
                sampler.control().set_rate(rate);
            }
            sampler.clone()
        }
        (None, Some(rate)) => Sampler::new(Control::new(rate)),
        (None, None) => by_environment.unwrap_or_else(|| Sampler::new(Control::new(Rate::NEVER))),
    }
}
