use opentelemetry_sdk::trace::SdkTracerProvider;
use towline_propagation::Propagator;
use towline_sampler::Sampler;

use super::announce;
use super::origin::Origin;
use crate::environment::Variables;
use crate::handle::{Parts, Role};
use crate::{Config, StartError, StartErrorKind, Towline, TowlineBuilder};

/// Tracing on a provider that somebody else has built.
pub(super) fn start(
    (provider, sampler): (SdkTracerProvider, Sampler),
    builder: TowlineBuilder,
    propagator: Propagator,
    variables: &Variables,
) -> Result<Towline, StartError> {
    if let Some(beside) = without_effect(&builder) {
        return Err(StartError::new(
            StartErrorKind::Conflict,
            format!(
                "{beside} has no effect on a provider that is brought along: expected one or the other"
            ),
        ));
    }
    let rate = builder
        .code
        .sampling_rate()
        .or(builder.config.sampling_rate());
    if let Some(rate) = rate {
        sampler.control().set_rate(rate);
    }
    announce::started(&"the provider's", &sampler, None, &variables.complaints);
    Ok(Towline::new(Parts {
        provider,
        sampler,
        exporter: None,
        propagator,
        random_trace_ids: builder.random_trace_ids,
        role: Role::Guest,
    }))
}

/// What was asked for that only a provider made here could do.
fn without_effect(builder: &TowlineBuilder) -> Option<String> {
    if builder.transport.is_some() {
        Some("a transport in code".to_owned())
    } else if builder.late_transport {
        Some("a late transport in code".to_owned())
    } else if builder.has_processors {
        Some("a span processor in code".to_owned())
    } else if builder.sampler.is_some() {
        Some("another sampler in code".to_owned())
    } else if !builder.resource_attributes.is_empty() {
        Some("a resource attribute in code".to_owned())
    } else {
        [&builder.code, &builder.config]
            .into_iter()
            .find_map(|config| Some(Origin::of(config, key_without_effect(config)?).to_string()))
    }
}

fn key_without_effect(config: &Config) -> Option<&'static str> {
    if config.exporter_url().is_some() {
        Some("exporter_url")
    } else if config.service_name().is_some() {
        Some("service_name")
    } else if !config.ca_certs().is_empty() {
        Some("ca_certs")
    } else if !config.https_keypairs().is_empty() {
        Some("https_keypairs")
    } else {
        None
    }
}
