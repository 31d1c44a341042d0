//! What produced the spans: the resource attributes.

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};

use crate::scope::SCHEMA_URL;

/// What was said about the resource, each over the one before it: detected, environment, file, code.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) service_name: Option<String>,
    pub(crate) by_environment: Vec<(String, String)>,
    pub(crate) by_file: Vec<KeyValue>,
    pub(crate) by_code: Vec<KeyValue>,
}

/// The resource of the spans.
///
/// Detected is only what cannot be a secret and stays small: neither the command line, whose arguments may hold
/// credentials, nor the path of the executable and the owner of the process, which name people. A Rust program has no
/// runtime to describe.
pub(crate) fn resource(said: Said) -> Resource {
    let executable = executable_name();
    let service_name = said.service_name.unwrap_or_else(|| match &executable {
        Some(executable) => format!("unknown_service:{executable}"),
        None => "unknown_service".to_owned(),
    });
    let mut detected = vec![
        KeyValue::new("telemetry.distro.name", "towline"),
        KeyValue::new("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    detected.extend(executable.map(|name| KeyValue::new("process.executable.name", name)));
    detected.extend(host_name().map(|name| KeyValue::new("host.name", name)));
    Resource::builder_empty()
        .with_schema_url(
            TelemetryResourceDetector
                .detect()
                .iter()
                .map(|(key, value)| KeyValue::new(key.clone(), value.clone())),
            SCHEMA_URL,
        )
        .with_attributes(detected)
        .with_attributes(
            said.by_environment
                .into_iter()
                .map(|(key, value)| KeyValue::new(key, value)),
        )
        .with_attributes(said.by_file)
        .with_service_name(service_name)
        .with_attributes(said.by_code)
        .build()
}

/// The file name of the executable, as the specification has it in the default of `service.name`.
fn executable_name() -> Option<String> {
    let path = env::current_exe().ok()?;
    Some(path.file_name()?.to_str()?.to_owned())
}

fn host_name() -> Option<String> {
    let name = gethostname::gethostname().into_string().ok()?;
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use opentelemetry::{Key, Value};

    use super::*;

    fn value(resource: &Resource, key: &'static str) -> Option<Value> {
        resource.get(&Key::new(key))
    }

    fn text(value: impl Into<String>) -> Option<Value> {
        Some(Value::from(value.into()))
    }

    #[test]
    fn describes_the_process_the_host_and_the_sdk() {
        let resource = resource(Said::default());
        let executable = executable_name().unwrap();
        assert_eq!(
            value(&resource, "service.name"),
            text(format!("unknown_service:{executable}"))
        );
        assert_eq!(
            value(&resource, "process.executable.name"),
            text(executable)
        );
        assert_eq!(
            value(&resource, "process.pid"),
            Some(Value::I64(std::process::id().into()))
        );
        assert_eq!(value(&resource, "host.name"), text(host_name().unwrap()));
        assert_eq!(
            value(&resource, "telemetry.sdk.name"),
            text("opentelemetry")
        );
        assert_eq!(value(&resource, "telemetry.sdk.language"), text("rust"));
        assert!(value(&resource, "telemetry.sdk.version").is_some());
        assert_eq!(value(&resource, "telemetry.distro.name"), text("towline"));
        assert_eq!(
            value(&resource, "telemetry.distro.version"),
            text(env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(resource.schema_url(), Some(SCHEMA_URL));
        assert_eq!(resource.len(), 9, "{resource:?}");
    }

    #[test]
    fn code_wins_over_the_file_that_over_the_environment_and_that_over_what_is_detected() {
        let resource = resource(Said {
            service_name: Some("users".to_owned()),
            by_environment: [
                ("host.name", "env"),
                ("a", "env"),
                ("b", "env"),
                ("c", "env"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            by_file: vec![KeyValue::new("b", "file"), KeyValue::new("c", "file")],
            by_code: vec![KeyValue::new("b", 2)],
        });
        assert_eq!(value(&resource, "service.name"), text("users"));
        assert_eq!(value(&resource, "host.name"), text("env"));
        assert_eq!(value(&resource, "a"), text("env"));
        assert_eq!(value(&resource, "b"), Some(Value::I64(2)));
        assert_eq!(value(&resource, "c"), text("file"));
    }
}
