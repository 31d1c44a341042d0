//! The clients beside those that Teleport makes of the same URLs: what is the same, and what is not.

use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SpanProcessor;
use tower::ServiceExt;
use towline_otlp::policy::Backoff;
use towline_otlp::{Batch, Discard, ExportError, ExportErrorKind, Exporter, PeerStatus, Receipt};

use crate::support::collector::{GrpcCollector, HttpCollector, nobody};
use crate::support::spans::span;
use crate::support::transport::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(60);

/// As there since OpenTelemetry's client is made without waiting: start never fails for want of a
/// collector.
#[test]
fn a_collector_that_is_offline_does_not_keep_a_program_from_starting() {
    for scheme in ["grpc", "http"] {
        let started = Instant::now();
        let built = Exporter::builder()
            .url(format!("{scheme}://{}", nobody()))
            .build();
        assert!(built.is_ok());
        assert!(started.elapsed() < LONG);
    }
}

/// As there: `/v1/traces`, binary protobuf, nothing compressed.
#[test]
fn http_is_a_post_of_protobuf_without_compression() {
    let collector = HttpCollector::accepting();
    let (processor, exporter) = Exporter::builder().url(collector.url()).build().unwrap();
    processor.on_end(span(0));
    exporter.blocking_flush(LONG).unwrap();
    let requests = collector.requests();
    assert_eq!(requests[0].uri().path(), "/v1/traces");
    assert_eq!(
        requests[0].headers()["content-type"],
        "application/x-protobuf"
    );
    assert!(!requests[0].headers().contains_key("content-encoding"));
}

/// As there: nothing compressed.
#[test]
fn grpc_is_without_compression() {
    let collector = GrpcCollector::accepting();
    let (processor, exporter) = Exporter::builder().url(collector.url()).build().unwrap();
    processor.on_end(span(0));
    exporter.blocking_flush(LONG).unwrap();
    assert!(collector.metadata()[0].get("grpc-encoding").is_none());
}

/// Times of the attempts at a batch under the defaults, by a clock that runs ahead.
fn attempts(answer: fn() -> Answer) -> Vec<Duration> {
    let (sender, times) = std::sync::mpsc::channel();
    let started = std::sync::OnceLock::new();
    let transport = Scripted::new(move |_, _| {
        let started: &tokio::time::Instant = started.get_or_init(tokio::time::Instant::now);
        let _ = sender.send(started.elapsed());
        answer()
    });
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .configure_runtime(|builder| {
            builder.start_paused(true);
        })
        .build()
        .unwrap();
    processor.on_end(span(0));
    exporter.blocking_flush(LONG * 60).unwrap_err();
    times.try_iter().collect()
}

/// As there for HTTP: ten seconds for each attempt. For gRPC they are for all attempts together
/// there, so that a call that hangs is never tried again.
#[test]
fn an_attempt_has_ten_seconds() {
    let times = attempts(|| Box::pin(std::future::pending()));
    // Give or take the timer.
    assert!(times.len() > 2, "{times:?}");
    let delay = (times[1] - times[0]).as_secs_f64() - 10.0;
    assert!((0.49..1.51).contains(&delay), "{times:?}");
}

/// There the first delay is 5 s; here 1 s, since a buffer in a program holds less than a
/// collector's queue. Intervals up to 30 s and a minute in all are the same.
#[test]
fn retries_begin_sooner_and_end_after_a_minute_too() {
    let away = || -> Answer {
        let error = ExportError::new(ExportErrorKind::Unreachable, "away");
        Box::pin(std::future::ready(Err(error)))
    };
    let times = attempts(away);
    assert!(times[1] <= Duration::from_millis(1502), "{times:?}");
    assert!(*times.last().unwrap() < LONG, "{times:?}");
    assert_eq!(Backoff::new(), Backoff::default());
}

/// As there: RESOURCE_EXHAUSTED only with RetryInfo, and HTTP by its four statuses.
#[test]
fn the_tables_of_retries_are_the_same() {
    for (status, expected) in [
        (PeerStatus::Grpc(8), false),
        (PeerStatus::Grpc(14), true),
        (PeerStatus::Http(429), true),
        (PeerStatus::Http(502), true),
        (PeerStatus::Http(503), true),
        (PeerStatus::Http(504), true),
        (PeerStatus::Http(500), false),
    ] {
        let error = ExportError::refused("peer", status);
        assert_eq!(error.is_retryable(), expected, "{status}");
    }
}

/// As there where tracing is off: everything succeeds, and nothing is done.
#[tokio::test]
async fn the_noop_client_takes_everything() {
    let receipt = Discard::new().oneshot(Batch::default()).await;
    assert_eq!(receipt.unwrap(), Receipt::accepted());
}
