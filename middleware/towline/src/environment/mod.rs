//! The environment variables of the OpenTelemetry specification.
//!
//! By the [rules] of the specification an empty variable counts as unset, and one that makes no sense is told in the log
//! and ignored. An endpoint that cannot be used is the exception: it is an error, since no other is meant.
//!
//! [rules]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md

mod attributes;
mod batching;
mod client;
mod exporter;
mod limits;
mod propagators;
mod reader;
mod sampler;
mod source;

use towline_sampler::Sampler;

pub(crate) use self::exporter::NamedExporter;
pub(crate) use self::propagators::NamedPropagators;
use self::reader::Reader;
pub use self::source::Environment;
use crate::config::{Origin, Said, Settings};

/// What the variables say.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// Tracing is off, whatever anything else says.
    pub(crate) disabled: bool,
    pub(crate) exporter: Option<NamedExporter>,
    /// What has a key of its own.
    pub(crate) settings: Settings,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) propagators: NamedPropagators,
    /// Without `service.name`.
    pub(crate) resource_attributes: Vec<(String, String)>,
    /// What is wrong with them, for the log.
    pub(crate) complaints: Vec<String>,
}

// === impl Variables ===

impl Variables {
    pub(crate) fn read(environment: &Environment) -> Self {
        let mut read = Reader::new(environment);
        let disabled = read.boolean("OTEL_SDK_DISABLED");
        let exporter = exporter::exporter(&mut read);
        let mut settings = Settings::default();
        client::client(&mut read, &mut settings);
        batching::batching(&mut read, &mut settings);
        limits::limits(&mut read, &mut settings);
        let sampler = sampler::sampler(&mut read);
        let propagators = propagators::propagators(&mut read);
        settings.propagators = propagators.said();
        let mut resource_attributes = match read.text(RESOURCE_ATTRIBUTES) {
            None => Vec::new(),
            Some(text) => attributes::parse(&text).unwrap_or_else(|error| {
                read.complain(format!("{RESOURCE_ATTRIBUTES} is discarded, since {error}"));
                Vec::new()
            }),
        };
        settings.service_name = read
            .said(OTEL_SERVICE_NAME, |read, name| read.text(name))
            .or_else(|| {
                let mut attributes = resource_attributes.iter();
                let (_, name) = attributes.find(|(key, _)| key == SERVICE_NAME)?;
                let origin = Origin::variable(RESOURCE_ATTRIBUTES);
                Some(Said::new(name.clone(), origin)).filter(|name| !name.value.is_empty())
            });
        resource_attributes.retain(|(key, _)| key != SERVICE_NAME);
        for name in NOT_READ {
            if read.text(name).is_some() {
                read.complain(format!("{name} is set, which this version does not read"));
            }
        }
        Self {
            disabled,
            exporter,
            settings,
            sampler,
            propagators,
            resource_attributes,
            complaints: read.into_complaints(),
        }
    }
}

const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

const SERVICE_NAME: &str = "service.name";

/// Variables of the specification that would change what is sent, or whether it arrives: nobody should have to find out
/// that they have no effect.
const NOT_READ: [&str; 2] = ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(variables: [(&str, &str); N]) -> Variables {
        Variables::read(&variables.into_iter().collect())
    }

    #[test]
    fn only_true_disables() {
        for (value, disabled, complaints) in [
            ("true", true, 0),
            ("TRUE", true, 0),
            ("false", false, 0),
            ("", false, 0),
            ("1", false, 1),
            ("yes", false, 1),
        ] {
            let variables = read([("OTEL_SDK_DISABLED", value)]);
            assert_eq!(variables.disabled, disabled, "{value}");
            assert_eq!(variables.complaints.len(), complaints, "{value}");
        }
    }

    #[test]
    fn the_service_name_has_a_variable_of_its_own_that_wins() {
        for (name, attributes, expected) in [
            ("users", "service.name=other,a=b", Some("users")),
            ("", "service.name=other,a=b", Some("other")),
            ("", "service.name=,a=b", None),
            ("", "a=b", None),
        ] {
            let variables = read([
                ("OTEL_SERVICE_NAME", name),
                (RESOURCE_ATTRIBUTES, attributes),
            ]);
            let name = variables.settings.service_name.map(|said| said.value);
            assert_eq!(name.as_deref(), expected);
            assert_eq!(
                variables.resource_attributes,
                [("a".to_owned(), "b".to_owned())]
            );
        }
    }

    #[test]
    fn attributes_with_an_error_are_all_discarded_and_told() {
        let variables = read([(RESOURCE_ATTRIBUTES, "a=b,c")]);
        assert!(variables.resource_attributes.is_empty());
        assert_eq!(
            variables.complaints,
            ["OTEL_RESOURCE_ATTRIBUTES is discarded, since \"c\" has no `=`: expected key=value"]
        );
    }

    #[test]
    fn a_variable_without_effect_is_told_without_its_value() {
        let variables = read([("OTEL_CONFIG_FILE", "sdk.yaml")]);
        assert_eq!(
            variables.complaints,
            ["OTEL_CONFIG_FILE is set, which this version does not read"]
        );
    }
}
