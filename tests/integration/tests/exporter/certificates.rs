//! TLS and mutual TLS with a collector, and what is said when it cannot be.

use std::error::Error;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tower::ServiceExt;
use towline_otlp::{Batch, BoxTransport, ClientOptions, Endpoint, ExportErrorKind, Receipt, Tls};
use towline_test_support::certificates::{TestCa, TestCertificate};
use towline_test_support::collector::Collector;
use towline_test_support::numbered_span;

/// Sends one span; gives the whole chain of what went wrong.
async fn send(url: &str, tls: Tls) -> Result<Receipt, String> {
    let endpoint = Endpoint::parse(url).unwrap();
    let options = ClientOptions::new().tls(tls);
    let transport = BoxTransport::connect_with(&endpoint, &options).unwrap();
    let resource = Resource::builder_empty().build();
    let batch = Batch::encode(&resource, [&numbered_span(1)]);
    transport.oneshot(batch).await.map_err(|error| {
        let kind = error.kind();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        assert_eq!(kind, ExportErrorKind::Tls, "{text}");
        text
    })
}

/// The two protocols of a collector.
fn urls(collector: &Collector) -> [String; 2] {
    [collector.grpc_url(), collector.http_url()]
}

fn with_key(tls: Tls, client: &TestCertificate) -> Tls {
    tls.key_pair(client.cert_path(), client.key_path())
}

#[tokio::test]
async fn a_certificate_each_way_is_good() {
    let ca = TestCa::new();
    let server = ca.server(["127.0.0.1", "localhost"]);
    let collector = Collector::builder().tls(&server).client_ca(&ca).start();
    for url in urls(&collector) {
        let tls = with_key(Tls::new().ca_cert(ca.cert_path()), &ca.client("users"));
        assert_eq!(send(&url, tls).await, Ok(Receipt::accepted()));
    }
    collector
        .wait_for_requests(2, Duration::from_secs(60))
        .await;
    for request in collector.requests() {
        assert!(request.peer_certificate().is_some());
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let client = ca.client("users");
    let of_ca = || Tls::new().ca_cert(ca.cert_path());
    for (server, tls, expected) in [
        (
            ca.server(["127.0.0.1"]),
            with_key(Tls::new().ca_cert(other.cert_path()), &client),
            "is not from one of the CAs that were given",
        ),
        (
            ca.expired_server(["127.0.0.1"]),
            with_key(of_ca(), &client),
            "the server's certificate has expired",
        ),
        (
            ca.server(["elsewhere.example"]),
            with_key(of_ca(), &client),
            "the server's certificate is for another host",
        ),
        (ca.server(["127.0.0.1"]), of_ca(), "client certificate"),
        (
            ca.server(["127.0.0.1"]),
            with_key(of_ca(), &other.client("stranger")),
            "client certificate",
        ),
    ] {
        let collector = Collector::builder().tls(&server).client_ca(&ca).start();
        for url in urls(&collector) {
            let error = send(&url, tls.clone()).await.unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert_eq!(collector.request_count(), 0);
    }
}

#[test]
fn a_client_certificate_that_has_expired_is_an_error_at_start() {
    let ca = TestCa::new();
    let client = ca.expired_client("users");
    let endpoint = Endpoint::parse("grpcs://localhost").unwrap();
    let tls = with_key(Tls::new().ca_cert(ca.cert_path()), &client);
    let error = BoxTransport::connect_with(&endpoint, &ClientOptions::new().tls(tls)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&client.cert_path().display().to_string()),
        "{text}"
    );
}
