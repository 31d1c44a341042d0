//! What a program learns after its start: the client, and attributes of the resource.

use opentelemetry::KeyValue;
use towline::otlp::{Discard, LateErrorKind};
use towline::{Rate, Towline};

use super::*;

fn late() -> Towline {
    builder()
        .with_late_transport()
        .with_exporter_options(|exporter| exporter.late_resource_attributes())
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap()
}

/// Teleport and here: each once, and only if it was asked for.
#[test]
fn each_part_once() {
    let tracing = late();
    let exporter = tracing.exporter().unwrap();
    exporter.set_transport(Discard::new()).unwrap();
    let again = exporter.set_transport(Discard::new()).unwrap_err();
    assert_eq!(again.kind(), LateErrorKind::AlreadySupplied);
    let tracing = builder().with_transport(Discard::new()).build().unwrap();
    let exporter = tracing.exporter().unwrap();
    let unasked = exporter
        .set_resource_attributes([KeyValue::new("a", 1)])
        .unwrap_err();
    assert_eq!(unasked.kind(), LateErrorKind::NotAwaited);
}

/// Teleport: 32 batches, then the oldest go silently. Here: as many bytes as any other span may take, then the oldest go and
/// are counted.
#[test]
fn buffer() {
    let tracing = late();
    for _ in 0..100 {
        tracing.spans("test").span("work").call(|| ());
    }
    let stats = tracing.stats();
    assert_eq!((stats.ended, stats.held), (100, 100));
}

/// Teleport and here: what waited is sent when all parts are there, with the attributes; here none is there twice.
#[test]
fn ready_with_attributes() {
    let directory = tempfile::tempdir().unwrap();
    let tracing = late();
    tracing.spans("test").span("work").call(|| ());
    let exporter = tracing.exporter().unwrap();
    let attributes = [
        KeyValue::new("teleport.host.uuid", "u"),
        KeyValue::new("host.name", "late"),
    ];
    exporter.set_resource_attributes(attributes).unwrap();
    let url = format!("file://{}", directory.path().display());
    exporter.set_url(&url).unwrap();
    tracing.blocking_shutdown(LONG).unwrap();
    let span = &support::spans(directory.path())[0];
    assert_eq!(
        span.resource_text("teleport.host.uuid").as_deref(),
        Some("u")
    );
    let text = span.resource.to_string();
    assert_eq!(text.matches("host.name").count(), 1, "{text}");
}

/// Teleport: spans are discarded silently. Here: they are counted.
#[test]
fn stop_before_ready() {
    let tracing = late();
    tracing.spans("test").span("work").call(|| ());
    let error = tracing.blocking_shutdown(LONG).unwrap_err();
    assert_eq!(error.stats().ended, 1);
    assert_eq!(error.stats().exported, 0);
}
