use std::fmt::Display;

use opentelemetry::Key;
use opentelemetry_sdk::Resource;
use towline_http::CallerContext;
use towline_propagation::Propagator;
use towline_sampler::Sampler;

use crate::config::Settings;

/// What is on.
pub(super) struct Announcement<'a> {
    pub(super) exporter: &'a dyn Display,
    pub(super) sampler: &'a Sampler,
    pub(super) propagator: &'a Propagator,
    pub(super) trust: CallerContext,
    pub(super) resource: Option<&'a Resource>,
}

// === impl Announcement ===

impl Announcement<'_> {
    /// Tells the log, once, what is on, and what in the environment is of no use.
    pub(super) fn tell(&self, complaints: &[String]) {
        let service_name = self
            .resource
            .and_then(|resource| resource.get(&Key::new("service.name")));
        tracing::info!(
            target: TARGET,
            exporter = %self.exporter,
            sampling_rate_per_million = self.sampler.control().rate().as_per_million(),
            propagators = %self.propagator,
            trust = %self.trust,
            service_name = service_name.as_ref().map(tracing::field::display),
            "tracing is on"
        );
        complain(complaints);
    }
}

/// Tells the log what is of no use.
pub(super) fn complain(complaints: &[String]) {
    for complaint in complaints {
        tracing::warn!(target: TARGET, "{complaint}");
    }
}

/// What the layers make of a caller's context, unless code says otherwise of one.
pub(super) fn trust(settings: &Settings) -> CallerContext {
    let said = settings.trust.as_ref().map(|said| said.value);
    said.unwrap_or(CallerContext::Parent)
}

pub(super) const TARGET: &str = "towline";
