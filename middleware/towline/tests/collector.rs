//! From a configuration to a collector: certificates, headers and compression arrive where they are meant to.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::time::Duration;

use opentelemetry::trace::Tracer;
use towline::{Config, Environment, KeyPair, Rate, Towline, TowlineBuilder};
use towline_test_support::certificates::TestCa;
use towline_test_support::collector::{Collector, Encoding};

const LONG: Duration = Duration::from_secs(60);

/// Ends a span and shuts down.
fn trace(builder: TowlineBuilder) {
    let tracing = builder.with_sampling_rate(Rate::ALWAYS).build().unwrap();
    tracing.tracer("test").in_span("work", |_| {});
    tracing.blocking_shutdown(LONG).unwrap();
}

fn config(url: &str) -> Config {
    Config::new().with_enabled(true).with_exporter_url(url)
}

#[test]
fn certificates_of_the_configuration_make_tls_of_every_scheme() {
    let ca = TestCa::new();
    let client = ca.client("users");
    let collector = Collector::builder()
        .tls(&ca.server(["127.0.0.1"]))
        .client_ca(&ca)
        .start();
    let address = collector.address();
    for scheme in ["grpc", "grpcs", "http", "https"] {
        let config = config(&format!("{scheme}://{address}"))
            .with_ca_certs([ca.cert_path()])
            .with_https_keypairs([KeyPair::new(client.key_path(), client.cert_path())]);
        let builder = Towline::builder().with_environment(Environment::empty());
        trace(builder.with_config(config));
    }
    let requests = collector.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert!(request.peer_certificate().is_some());
    }
}

#[test]
fn the_environment_says_what_goes_along() {
    let ca = TestCa::new();
    let client = ca.client("users");
    let collector = Collector::builder()
        .tls(&ca.server(["127.0.0.1"]))
        .client_ca(&ca)
        .start();
    let path = |path: std::path::PathBuf| path.display().to_string();
    for url in [collector.http_url(), collector.grpc_url()] {
        let environment = Environment::from_iter([
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path(ca.cert_path())),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                path(client.cert_path()),
            ),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", path(client.key_path())),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20secret".to_owned(),
            ),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
        ]);
        let builder = Towline::builder().with_environment(environment);
        trace(builder.with_config(config(&url)));
    }
    let requests = collector.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
        assert_eq!(request.encoding(), Encoding::Gzip);
        assert!(request.peer_certificate().is_some());
    }
}

#[test]
fn code_wins_over_the_environment_as_a_whole() {
    let collector = Collector::start();
    let environment =
        Environment::from_iter([("OTEL_EXPORTER_OTLP_HEADERS", "x-by=environment,x-too=1")]);
    let builder = Towline::builder()
        .with_environment(environment)
        .with_exporter_url(collector.http_url())
        .with_exporter_options(|exporter| {
            let name = http::HeaderName::from_static("x-by");
            let value = http::HeaderValue::from_static("code");
            exporter.client(towline::otlp::ClientOptions::new().header(name, value))
        });
    trace(builder);
    let request = &collector.requests()[0];
    assert_eq!(
        (request.header("x-by"), request.header("x-too")),
        (Some("code"), None)
    );
}
