//! From the exporter URL to the client.

use towline::Rate;
use towline_test_support::collector::Collector;

use super::*;

/// Teleport and here: the scheme that is left out is `grpc`.
#[test]
fn host_and_port() {
    assert_eq!(goes_to("collector:4317"), "grpc://collector:4317");
    assert_eq!(goes_to("[::1]:4317"), "grpc://[::1]:4317");
}

/// Teleport and here: OTLP over gRPC.
#[test]
fn grpc() {
    assert_eq!(goes_to("grpc://collector:4000"), "grpc://collector:4000");
}

/// Teleport and here: OTLP over HTTP, posted to `/v1/traces`. (Of `https` Teleport makes plaintext, see `tls_switch`.)
#[test]
fn http_and_https() {
    assert_eq!(
        goes_to("http://collector:4318"),
        "http://collector:4318/v1/traces"
    );
    assert_eq!(
        goes_to("https://collector:4318"),
        "https://collector:4318/v1/traces"
    );
}

/// Teleport: the path becomes part of the host, and every export fails. Here: it is the path of the request.
#[test]
fn http_with_a_path() {
    assert_eq!(
        goes_to("http://collector:4318/api/traces"),
        "http://collector:4318/api/traces"
    );
    let collector = Collector::builder().http_path("/api/traces").start();
    let url = format!("http://{}/api/traces", collector.address());
    let tracing = builder()
        .with_exporter_url(url)
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    tracing.spans("test").span("work").call(|| ());
    tracing.blocking_shutdown(LONG).unwrap();
    assert_eq!(collector.request_count(), 1);
}

/// Teleport: gRPC to a host called `http`. Here: the scheme's protocol on its default port.
#[test]
fn no_port() {
    assert_eq!(goes_to("http://collector"), "http://collector:80/v1/traces");
    assert_eq!(
        goes_to("https://collector"),
        "https://collector:443/v1/traces"
    );
    assert_eq!(goes_to("grpc://collector"), "grpc://collector:4317");
}

/// Teleport: an error. Here: gRPC, as its documentation says of URLs without a scheme.
#[test]
fn host_alone() {
    assert_eq!(goes_to("collector"), "grpc://collector:4317");
    assert_eq!(goes_to("127.0.0.1"), "grpc://127.0.0.1:4317");
}

/// Teleport and here: an error.
#[test]
fn another_scheme() {
    assert!(refused("exporter_url: 'tcp://collector:4317'").contains("unknown scheme"));
}

/// Teleport: gRPC to a host with a strange name. Here: a unix socket, and files, since a scheme may be in any case.
#[test]
fn unix_and_upper_case() {
    assert_eq!(goes_to("unix:///run/otel.sock"), "unix:///run/otel.sock");
    let directory = tempfile::tempdir().unwrap();
    let url = goes_to(&format!("FILE://{}", directory.path().display()));
    assert!(url.starts_with("file:///"), "{url}");
}

/// Teleport: a directory with the limit from the query; a relative one and escapes are taken as they stand. Here: a
/// relative one is an error, and escapes are decoded.
#[test]
fn file_with_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}/a%20b?limit=100", directory.path().display());
    assert!(goes_to(&url).contains("a%20b?limit=100&format=json"));
    assert!(directory.path().join("a b").is_dir());
    assert!(refused("exporter_url: 'file://relative'").contains("expected no host"));
    assert!(refused("exporter_url: 'file:///a?limit=many'").contains("limit"));
}

/// Teleport: a service without a name is an error. Here: it is called after the executable.
#[test]
fn service_name() {
    let directory = tempfile::tempdir().unwrap();
    let tracing = builder()
        .with_exporter_url(format!("file://{}", directory.path().display()))
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    tracing.spans("test").span("work").call(|| ());
    tracing.blocking_shutdown(LONG).unwrap();
    let name = support::spans(directory.path())[0]
        .resource_text("service.name")
        .unwrap();
    assert!(name.starts_with("unknown_service:teleport"), "{name}");
}

/// Teleport: 5 s to connect, 10 s for a call. Here: the same by default, and settings.
#[test]
fn timeouts() {
    for key in ["connect_timeout", "attempt_timeout"] {
        assert!(refused(&format!("{key}: 0s")).contains("expected a time above 0"));
    }
    let config = section("connect_timeout: 5s, attempt_timeout: 10s");
    assert_eq!(config.connect_timeout(), Some(Duration::from_secs(5)));
    assert_eq!(config.attempt_timeout(), Some(Duration::from_secs(10)));
}

/// Teleport and here: a start does not wait for a collector.
#[test]
fn lazy_connection() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for scheme in ["grpc", "http"] {
        let url = format!("{scheme}://{address}");
        assert!(
            builder()
                .with_exporter_url(url)
                .build()
                .unwrap()
                .is_enabled()
        );
    }
}

/// Teleport: retries for a minute, from 5 s to 30 s. Here: for a minute, from 1 s to 30 s, and settings.
#[test]
fn retries() {
    let config = section("retry_initial_delay: 5s, retry_max_delay: 30s, retry_max_elapsed: 60s");
    assert_eq!(config.retry_initial_delay(), Some(Duration::from_secs(5)));
    assert_eq!(config.retry_max_delay(), Some(Duration::from_secs(30)));
    assert_eq!(config.retry_max_elapsed(), Some(Duration::from_secs(60)));
}

/// Teleport: a client that does nothing. Here: no exporter at all.
#[test]
fn noop_client() {
    let tracing = builder().build().unwrap();
    assert!(tracing.exporter().is_none());
    tracing.spans("test").span("work").call(|| ());
    assert_eq!(tracing.blocking_shutdown(LONG).unwrap().ended, 0);
}
