use opentelemetry_sdk::trace::SdkTracerProvider;
use towline_propagation::Propagator;
use towline_sampler::Sampler;

use super::announce::{self, Announcement};
use super::reload::Basis;
use crate::config::{KEYS, Problem, Problems};
use crate::handle::{Parts, Role};
use crate::{StartErrorKind, Towline, TowlineBuilder};

/// Tracing on a provider that somebody else has built.
pub(super) struct Provided {
    pub(super) provider: SdkTracerProvider,
    pub(super) sampler: Sampler,
    pub(super) propagator: Propagator,
    pub(super) random_trace_ids: bool,
    pub(super) basis: Basis,
    pub(super) complaints: Vec<String>,
}

// === impl Provided ===

impl Provided {
    pub(super) fn start(self) -> Towline {
        let said = self.basis.settings().sampling_rate_per_million.as_ref();
        if let Some(rate) = said.map(|said| said.value) {
            self.sampler.control().set_rate(rate);
        }
        Announcement {
            exporter: &"the provider's",
            sampler: &self.sampler,
            propagator: &self.propagator,
            trust: announce::trust(self.basis.settings()),
            resource: None,
        }
        .tell(&self.complaints);
        Towline::new(Parts {
            provider: self.provider,
            sampler: self.sampler,
            exporter: None,
            recorder_limits: None,
            propagator: self.propagator,
            random_trace_ids: self.random_trace_ids,
            role: Role::Guest,
            basis: self.basis,
        })
    }
}

/// What was asked for that only a provider made here could do.
pub(super) fn check(builder: &TowlineBuilder, problems: &mut Problems) {
    let in_code = [
        (builder.transport.is_some(), "a transport in code"),
        (builder.late_transport, "a late transport in code"),
        (builder.has_processors, "a span processor in code"),
        (builder.sampler.is_some(), "another sampler in code"),
        (
            !builder.resource_attributes.is_empty(),
            "a resource attribute in code",
        ),
    ];
    const REST: &str =
        " has no effect on a provider that is brought along: expected one or the other";
    for (_, what) in in_code.into_iter().filter(|(is_said, _)| *is_said) {
        let message = format!("{what}{REST}");
        problems.push(Problem::new(StartErrorKind::Conflict, message));
    }
    for config in [&builder.code, &builder.config] {
        for key in KEYS.iter().filter(|key| !key.is_for_any_provider) {
            if let Some(origin) = (key.origin)(&config.settings) {
                problems.push(Problem::of(StartErrorKind::Conflict, origin, REST));
            }
        }
    }
}
