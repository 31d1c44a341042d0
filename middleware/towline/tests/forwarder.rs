//! Spans of others, through the exporter of this program.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::ServiceExt;
use towline::forwarder::{Forwarder, Identity};
use towline::otlp::Discard;
use towline::{Environment, Towline};

const LONG: Duration = Duration::from_secs(30);

/// One span: `resource_spans { scope_spans { spans {} } }`.
async fn send(forwarder: &Forwarder) -> u16 {
    let request = Request::post("/v1/traces")
        .header("content-type", "application/x-protobuf")
        .extension(Identity::new("alice").unwrap())
        .body(Full::new(Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0])))
        .unwrap();
    forwarder
        .http()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn they_go_where_its_own_go_also_while_it_records_nothing_itself() {
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_transport(Discard::new())
        .build()
        .unwrap();
    let forwarder = tracing.forwarder().build();
    assert_eq!(send(&forwarder).await, 200);
    tracing.control().set_enabled(false);
    assert_eq!(send(&forwarder).await, 200);
    assert_eq!(tracing.stats().forwarded.exported, 2);
    assert_eq!(forwarder.stats().spans.forwarded, 2);

    tracing.shutdown(LONG).await.unwrap();
    assert_eq!(send(&forwarder).await, 503);
    assert_eq!(tracing.stats().forwarded.exported, 2);
}

#[tokio::test]
async fn where_nothing_is_exported_they_are_acknowledged_and_counted() {
    let forwarder = Towline::off().forwarder().build();
    assert_eq!(send(&forwarder).await, 200);
    let spans = forwarder.stats().spans;
    assert_eq!((spans.discarded, spans.forwarded), (1, 0));
}
