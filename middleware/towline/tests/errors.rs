//! What cannot start says why, and nothing is started.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::error::Error;
use std::fs;

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SimpleSpanProcessor};
use towline::otlp::Discard;
use towline::{
    Config, Environment, KeyPair, Sampler, StartError, StartErrorKind, Towline, TowlineBuilder,
};

fn builder() -> TowlineBuilder {
    Towline::builder().with_environment(Environment::empty())
}

fn enabled(url: &str) -> Config {
    Config::new().with_enabled(true).with_exporter_url(url)
}

#[track_caller]
fn fails(builder: TowlineBuilder, kind: StartErrorKind, expected: &str) -> StartError {
    let (result, lines) = support::start(builder);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), kind);
    assert!(lines.is_empty(), "{lines:?}");
    error
}

#[test]
fn enabled_without_an_exporter() {
    fails(
        builder().with_config(Config::new().with_enabled(true)),
        StartErrorKind::NoExporter,
        "`exporter_url` is not given although tracing is enabled: expected a URL such as grpc://collector:4317",
    );

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.yaml");
    fs::write(&path, "tracing_service: { enabled: yes }").unwrap();
    fails(
        builder().with_config(Config::from_file(&path).unwrap()),
        StartErrorKind::NoExporter,
        &format!(
            "{}:1:1: `exporter_url` is not given although tracing is enabled: expected a URL such as grpc://collector:4317",
            path.display()
        ),
    );
}

#[test]
fn a_file_that_says_what_cannot_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.yaml");
    let error = Towline::from_file(&path).unwrap_err();
    assert_eq!(error.kind(), StartErrorKind::Config);
    assert!(error.source().unwrap().to_string().contains("No such file"));

    fs::write(&path, "tracing_service:\n  enabled: maybe\n").unwrap();
    let error = Towline::from_file(&path).unwrap_err();
    assert_eq!(error.kind(), StartErrorKind::Config);
    assert_eq!(
        error.to_string(),
        format!(
            "{}:2:12: `enabled` is \"maybe\": expected yes or no (or true, false, on, off)",
            path.display()
        )
    );
}

#[test]
fn a_url_in_code_that_cannot_be_used_even_where_tracing_is_off() {
    let expected = "`exporter_url`: exporter url \"tcp://c:1\" has an unknown scheme: \
                    expected grpc, grpcs, http, https, file, unix or console";
    for builder in [
        builder().with_exporter_url("tcp://c:1"),
        builder().with_exporter_url("tcp://c:1").with_enabled(false),
        builder().with_config(enabled("tcp://c:1")),
        builder().with_config(enabled("tcp://c:1").with_enabled(false)),
    ] {
        fails(builder, StartErrorKind::Exporter, expected);
    }
}

#[test]
fn an_endpoint_in_the_environment_that_cannot_be_used_names_the_variable() {
    let environment = Environment::from_iter([(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://user:hunter2@collector:4318",
    )]);
    fails(
        Towline::builder().with_environment(environment),
        StartErrorKind::Exporter,
        "OTEL_EXPORTER_OTLP_ENDPOINT: exporter url \"http://***@collector:4318/v1/traces\" has a user name or \
         password: expected credentials in headers, not in the url",
    );
}

#[test]
#[cfg(not(feature = "tls"))]
fn tls_that_is_not_compiled_in_is_never_plaintext_instead() {
    for url in ["https://collector", "grpcs://collector"] {
        let error = builder().with_config(enabled(url)).build().unwrap_err();
        assert_eq!(error.kind(), StartErrorKind::Exporter);
        assert!(error.to_string().contains("the feature `tls`"), "{error}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = enabled("grpc://collector").with_ca_certs([file.path()]);
    fails(
        builder().with_config(config),
        StartErrorKind::Certificates,
        "`ca_certs` asks for TLS to grpc://collector:4317, which needs the feature `tls`: expected no certificates",
    );
}

#[test]
#[cfg(feature = "tls")]
fn certificates_that_cannot_be_used_are_named_whatever_the_scheme() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for url in ["grpc://c", "grpcs://c", "http://c", "https://c"] {
        for config in [
            enabled(url).with_ca_certs([file.path()]),
            enabled(url).with_https_keypairs([KeyPair::new(file.path(), file.path())]),
        ] {
            let error = builder().with_config(config).build().unwrap_err();
            assert_eq!(error.kind(), StartErrorKind::Certificates, "{error}");
            let name = file.path().display().to_string();
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
}

#[test]
#[cfg(feature = "tls")]
fn a_certificate_of_the_environment_is_for_what_is_tls_anyway() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let environment = || {
        Environment::from_iter([
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere/cert.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/key.pem"),
        ])
    };
    let build = |url: &str| {
        let builder = Towline::builder().with_environment(environment());
        builder.with_config(enabled(url)).build()
    };
    let directory = tempfile::tempdir().unwrap();
    let files = format!("file://{}", directory.path().display());
    for url in ["http://c", "grpc://c", &files] {
        assert!(build(url).unwrap().is_enabled());
    }
    let error = build("https://c").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "OTEL_EXPORTER_OTLP_CERTIFICATE: CA certificate {path} holds no certificate: \
             expected PEM, which begins with -----BEGIN CERTIFICATE-----\n\
             OTEL_EXPORTER_OTLP_CLIENT_KEY is \"/nowhere/key.pem\", which cannot be read: \
             expected a PEM file: No such file or directory (os error 2)\n\
             OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is \"/nowhere/cert.pem\", which cannot be read: \
             expected a PEM file: No such file or directory (os error 2)"
        )
    );
}

#[test]
fn certificates_are_refused_where_they_would_have_no_effect() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let ca = |config: Config| config.with_ca_certs([file.path()]);
    fails(
        builder().with_config(ca(enabled(&url))),
        StartErrorKind::Certificates,
        &format!(
            "`ca_certs` has no effect, since spans go to {url}?limit=104857600&format=json: expected no certificates"
        ),
    );
    fails(
        builder()
            .with_config(ca(Config::new()))
            .with_transport(Discard::new()),
        StartErrorKind::Certificates,
        "`ca_certs` has no effect, since spans go to a transport in code: expected no certificates",
    );
}

#[test]
fn certificates_that_are_not_there_are_named_but_only_where_tracing_is_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (config, expected) in [
        (
            enabled("grpc://c").with_ca_certs(["/nowhere/ca.pem"]),
            "`ca_certs[0]` is \"/nowhere/ca.pem\", which cannot be read: expected a PEM file",
        ),
        (
            enabled("grpc://c")
                .with_https_keypairs([KeyPair::new("/nowhere/key.pem", file.path())]),
            "`https_keypairs[0].key_file` is \"/nowhere/key.pem\", which cannot be read: expected a PEM file",
        ),
        (
            enabled("grpc://c").with_https_keypairs([KeyPair::new(file.path(), "/")]),
            "`https_keypairs[0].cert_file` is \"/\", which cannot be read: expected a PEM file",
        ),
    ] {
        let off = builder().with_config(config.clone().with_enabled(false));
        assert!(!off.build().unwrap().is_enabled());
        let error = fails(
            builder().with_config(config),
            StartErrorKind::Certificates,
            expected,
        );
        assert!(error.source().is_some());
    }
}

#[test]
fn a_directory_that_cannot_be_written_to() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = format!("file://{}/traces", file.path().display());
    let error = builder().with_exporter_url(url).build().unwrap_err();
    assert_eq!(error.kind(), StartErrorKind::Exporter);
    let text = error.to_string();
    assert!(
        text.starts_with("`exporter_url`: ") && text.contains("/traces"),
        "{text}"
    );
    assert!(error.source().is_some());
}

#[test]
fn options_of_the_exporter_that_make_no_sense() {
    let error = builder()
        .with_transport(Discard::new())
        .with_exporter_options(|exporter| exporter.concurrency(0))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), StartErrorKind::Exporter);
    assert!(error.to_string().contains("concurrency is 0"), "{error}");
}

#[test]
fn two_things_of_which_only_one_can_be() {
    fails(
        builder()
            .with_transport(Discard::new())
            .with_exporter_url("grpc://c"),
        StartErrorKind::Conflict,
        "a transport and `exporter_url` are both given in code: expected one of them",
    );
    fails(
        builder()
            .with_late_transport()
            .with_exporter_url("grpc://c"),
        StartErrorKind::Conflict,
        "a late transport and `exporter_url` are both given in code: expected one of them",
    );

    let provided = || {
        let sampler = Sampler::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .build();
        builder().with_provider(provider, sampler)
    };
    let processor = SimpleSpanProcessor::new(InMemorySpanExporter::default());
    for (builder, beside) in [
        (provided().with_exporter_url("grpc://c"), "`exporter_url`"),
        (
            provided().with_config(enabled("grpc://c")),
            "`exporter_url`",
        ),
        (provided().with_service_name("a"), "`service_name`"),
        (
            provided().with_config(Config::new().with_ca_certs(["/ca.pem"])),
            "`ca_certs`",
        ),
        (
            provided().with_transport(Discard::new()),
            "a transport in code",
        ),
        (
            provided().with_span_processor(processor),
            "a span processor in code",
        ),
        (
            provided().with_sampler(Sampler::default()),
            "another sampler in code",
        ),
        (
            provided().with_resource_attributes([KeyValue::new("a", 1)]),
            "a resource attribute in code",
        ),
    ] {
        fails(
            builder,
            StartErrorKind::Conflict,
            &format!(
                "{beside} has no effect on a provider that is brought along: expected one or the other"
            ),
        );
    }
}
