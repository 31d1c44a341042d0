use std::fmt::Display;

use opentelemetry::Key;
use opentelemetry_sdk::Resource;
use towline_sampler::Sampler;

/// Tells the log, once, what is on, and what in the environment is of no use.
pub(super) fn started(
    exporter: &dyn Display,
    sampler: &Sampler,
    resource: Option<&Resource>,
    complaints: &[String],
) {
    let service_name = resource.and_then(|resource| resource.get(&Key::new("service.name")));
    tracing::info!(
        target: TARGET,
        %exporter,
        sampling_rate_per_million = sampler.control().rate().as_per_million(),
        service_name = service_name.as_ref().map(tracing::field::display),
        "tracing is on"
    );
    complain(complaints);
}

/// Tells the log what is of no use.
pub(super) fn complain<'a>(complaints: impl IntoIterator<Item = &'a String>) {
    for complaint in complaints {
        tracing::warn!(target: TARGET, "{complaint}");
    }
}

const TARGET: &str = "towline";
