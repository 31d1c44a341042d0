//! Code over file over environment over default, setting by setting.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use towline_http::CallerContext;
use towline_otlp::Compression;
use towline_propagation::PropagatorKind;
use towline_sampler::{Limit, Rate};

use super::Basis;
use crate::config::KEYS;
use crate::environment::Variables;
use crate::{Config, Environment, KeyPair, Towline, TowlineBuilder};

/// A setting by each source, and how each value is shown.
struct Row {
    key: &'static str,
    /// Of those that are settings of their own; the others are in `tests/precedence.rs`.
    environment: Option<(&'static [(&'static str, &'static str)], &'static str)>,
    file: (&'static str, &'static str),
    code: (fn(TowlineBuilder) -> TowlineBuilder, &'static str),
}

fn in_force(row: &Row, by_environment: bool, by_file: bool, by_code: bool) -> Option<String> {
    let variables = row.environment.filter(|_| by_environment);
    let variables = variables.map_or(&[][..], |(variables, _)| variables);
    let environment = Environment::from_iter(variables.iter().copied());
    let text = match by_file {
        true => format!("tracing_service: {{ {}: {} }}", row.key, row.file.0),
        false => String::new(),
    };
    let mut builder = Towline::builder()
        .with_environment(environment)
        .with_config(Config::from_yaml(&text).unwrap());
    if by_code {
        builder = (row.code.0)(builder);
    }
    let variables = Variables::read(&builder.environment);
    assert!(
        variables.complaints.is_empty(),
        "{:?}",
        variables.complaints
    );
    let basis = Basis::new(&builder, &variables);
    let key = KEYS.iter().find(|key| key.field.name() == row.key).unwrap();
    (key.shown)(basis.settings())
}

#[test]
fn code_wins_over_file_over_environment_over_default() {
    let mut keys = Vec::new();
    for row in ROWS {
        keys.push(row.key);
        let (file, code) = (Some(row.file.1.to_owned()), Some(row.code.1.to_owned()));
        let environment = row.environment.map(|(_, shown)| shown.to_owned());
        let all = [&file, &code, &environment];
        assert!(
            all[0] != all[1] && all[1] != all[2] && all[0] != all[2],
            "{}",
            row.key
        );
        for (by, expected) in [
            ([false, false, false], None),
            ([true, false, false], environment),
            ([true, true, false], file.clone()),
            ([false, true, false], file),
            ([true, true, true], code.clone()),
            ([true, false, true], code.clone()),
            ([false, true, true], code.clone()),
            ([false, false, true], code),
        ] {
            let shown = in_force(row, by[0], by[1], by[2]);
            assert_eq!(shown, expected, "{} by {by:?}", row.key);
        }
    }
    let table: Vec<_> = KEYS.iter().map(|key| key.field.name()).collect();
    assert_eq!(keys, table, "a setting has no row here");
    for (row, key) in ROWS.iter().zip(KEYS) {
        for (variables, _) in row.environment.iter() {
            for (variable, _) in variables.iter() {
                assert!(key.variables.contains(variable), "{}: {variable}", row.key);
            }
        }
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const ROWS: &[Row] = &[
    Row {
        key: "enabled",
        environment: None,
        file: ("no", "no"),
        code: (|builder| builder.with_enabled(true), "yes"),
    },
    Row {
        key: "exporter_url",
        environment: None,
        file: ("file", "grpc://file:4317"),
        code: (
            |builder| builder.with_exporter_url("code"),
            "grpc://code:4317",
        ),
    },
    Row {
        key: "sampling_rate_per_million",
        environment: None,
        file: ("1", "1"),
        code: (
            |builder| builder.with_sampling_rate(Rate::ALWAYS),
            "1000000",
        ),
    },
    Row {
        key: "ca_certs",
        environment: Some((
            &[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/env.pem")],
            "/env.pem",
        )),
        file: ("[/file.pem]", "/file.pem"),
        code: (|builder| builder.with_ca_certs(["/code.pem"]), "/code.pem"),
    },
    Row {
        key: "https_keypairs",
        environment: Some((
            &[
                ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/env.pem"),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/env.key"),
            ],
            "/env.pem",
        )),
        file: (
            "[{ key_file: /file.key, cert_file: /file.pem }]",
            "/file.pem",
        ),
        code: (
            |builder| builder.with_https_keypairs([KeyPair::new("/code.key", "/code.pem")]),
            "/code.pem",
        ),
    },
    Row {
        key: "service_name",
        environment: Some((&[("OTEL_SERVICE_NAME", "env")], "env")),
        file: ("file", "file"),
        code: (|builder| builder.with_service_name("code"), "code"),
    },
    Row {
        // Attribute by attribute: see `resource.rs`.
        key: "resource_attributes",
        environment: None,
        file: ("{ a: file }", "a=file"),
        code: (
            |mut builder| {
                builder.code = builder
                    .code
                    .with_resource_attributes([KeyValue::new("a", "code")]);
                builder
            },
            "a=code",
        ),
    },
    Row {
        key: "headers",
        environment: Some((&[("OTEL_EXPORTER_OTLP_HEADERS", "x-env=1")], "x-env")),
        file: ("{ x-file: a }", "x-file"),
        code: (
            |builder| {
                let name = HeaderName::from_static("x-code");
                builder.with_headers([(name, HeaderValue::from_static("1"))])
            },
            "x-code",
        ),
    },
    Row {
        key: "compression",
        environment: Some((&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], "gzip")),
        file: ("none", "none"),
        code: (
            |builder| builder.with_compression(Compression::Zstd),
            "zstd",
        ),
    },
    Row {
        key: "user_agent",
        environment: None,
        file: ("file/1", "file/1"),
        code: (|builder| builder.with_user_agent("code/1"), "code/1"),
    },
    Row {
        key: "connect_timeout",
        environment: None,
        file: ("2s", "2s"),
        code: (|builder| builder.with_connect_timeout(secs(3)), "3s"),
    },
    Row {
        key: "attempt_timeout",
        environment: Some((&[("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")], "1s")),
        file: ("2s", "2s"),
        code: (|builder| builder.with_attempt_timeout(secs(3)), "3s"),
    },
    Row {
        key: "flush_interval",
        environment: Some((&[("OTEL_BSP_SCHEDULE_DELAY", "1000")], "1s")),
        file: ("2s", "2s"),
        code: (|builder| builder.with_flush_interval(secs(3)), "3s"),
    },
    Row {
        key: "buffer_bytes",
        environment: None,
        file: ("2MiB", "2097152"),
        code: (|builder| builder.with_buffer_bytes(3_000_000), "3000000"),
    },
    Row {
        key: "buffer_spans",
        environment: Some((&[("OTEL_BSP_MAX_QUEUE_SIZE", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_buffer_spans(3), "3"),
    },
    Row {
        key: "batch_bytes",
        environment: None,
        file: ("2KiB", "2048"),
        code: (|builder| builder.with_batch_bytes(3000), "3000"),
    },
    Row {
        key: "batch_spans",
        environment: Some((&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_batch_spans(3), "3"),
    },
    Row {
        key: "max_message_bytes",
        environment: None,
        file: ("2KiB", "2048"),
        code: (|builder| builder.with_max_message_bytes(3000), "3000"),
    },
    Row {
        key: "forward_bytes",
        environment: None,
        file: ("2KiB", "2048"),
        code: (|builder| builder.with_forward_bytes(3000), "3000"),
    },
    Row {
        key: "concurrency",
        environment: Some((&[("OTEL_BSP_MAX_CONCURRENT_EXPORTS", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_concurrency(3), "3"),
    },
    Row {
        key: "retry_initial_delay",
        environment: None,
        file: ("2s", "2s"),
        code: (|builder| builder.with_retry_initial_delay(secs(3)), "3s"),
    },
    Row {
        key: "retry_max_delay",
        environment: None,
        file: ("2s", "2s"),
        code: (|builder| builder.with_retry_max_delay(secs(3)), "3s"),
    },
    Row {
        key: "retry_max_elapsed",
        environment: Some((&[("OTEL_BSP_EXPORT_TIMEOUT", "1000")], "1s")),
        file: ("2s", "2s"),
        code: (|builder| builder.with_retry_max_elapsed(secs(3)), "3s"),
    },
    Row {
        key: "propagators",
        environment: Some((&[("OTEL_PROPAGATORS", "jaeger")], "jaeger")),
        file: ("[baggage]", "baggage"),
        code: (
            |builder| builder.with_propagators([PropagatorKind::TraceContext]),
            "tracecontext",
        ),
    },
    Row {
        key: "trust",
        environment: None,
        file: ("link", "link"),
        code: (
            |builder| builder.with_trust(CallerContext::Ignore),
            "ignore",
        ),
    },
    Row {
        key: "remote_sampled_limit_per_second",
        environment: None,
        file: ("2", "2"),
        code: (
            |builder| builder.with_remote_sampled_limit_per_second(Limit::per_second(3)),
            "3",
        ),
    },
    Row {
        key: "skip_paths",
        environment: None,
        file: ("[/file, /file/*]", "/file,/file/*"),
        code: (|builder| builder.with_skip_paths(["/code"]), "/code"),
    },
    Row {
        key: "capture_request_headers",
        environment: None,
        file: ("[x-file]", "x-file"),
        code: (
            |builder| builder.with_capture_request_headers([HeaderName::from_static("x-code")]),
            "x-code",
        ),
    },
    Row {
        key: "capture_response_headers",
        environment: None,
        file: ("[x-file]", "x-file"),
        code: (
            |builder| builder.with_capture_response_headers([HeaderName::from_static("x-code")]),
            "x-code",
        ),
    },
    Row {
        key: "redacted_query_keys",
        environment: None,
        file: ("[file]", "file"),
        code: (|builder| builder.with_redacted_query_keys(["code"]), "code"),
    },
    Row {
        key: "response_trace_id_header",
        environment: None,
        file: ("x-file", "x-file"),
        code: (
            |builder| builder.with_response_trace_id_header(HeaderName::from_static("x-code")),
            "x-code",
        ),
    },
    Row {
        key: "attribute_value_length_limit",
        environment: Some((&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_attribute_value_length_limit(3), "3"),
    },
    Row {
        key: "attribute_count_limit",
        environment: Some((&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_attribute_count_limit(3), "3"),
    },
    Row {
        key: "event_count_limit",
        environment: Some((&[("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_event_count_limit(3), "3"),
    },
    Row {
        key: "link_count_limit",
        environment: Some((&[("OTEL_SPAN_LINK_COUNT_LIMIT", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_link_count_limit(3), "3"),
    },
    Row {
        key: "event_attribute_count_limit",
        environment: Some((&[("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_event_attribute_count_limit(3), "3"),
    },
    Row {
        key: "link_attribute_count_limit",
        environment: Some((&[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "1")], "1")),
        file: ("2", "2"),
        code: (|builder| builder.with_link_attribute_count_limit(3), "3"),
    },
];
