//! In steady state a span that ends allocates nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod support;

use std::time::{Duration, SystemTime};

use allocation_counter::{AllocationInfo, measure};
use opentelemetry::trace::{Event, Link, SpanContext, Status, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_otlp::{Discard, Exporter};

use crate::support::spans::span;

/// As many as fit into one batch, so that what is measured does not depend on how quick the export
/// thread is.
const SPANS: u64 = 500;

/// What `SPANS` spans allocate on the thread that ends them, once the exporter has seen such spans
/// before.
fn allocations(span: impl Fn(u64) -> SpanData) -> AllocationInfo {
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .build()
        .unwrap();
    let round = || {
        let spans: Vec<_> = (0..SPANS).map(&span).collect();
        let info = measure(|| spans.into_iter().for_each(|span| processor.on_end(span)));
        exporter.blocking_flush(Duration::from_secs(30)).unwrap();
        info
    };
    for _ in 0..3 {
        round();
    }
    let info = round();
    assert_eq!(exporter.stats().exported, 4 * SPANS);
    info
}

#[test]
fn a_plain_span_allocates_nothing() {
    assert_eq!(allocations(span).count_total, 0);
}

#[test]
fn a_span_with_everything_allocates_nothing() {
    let rich = |number| {
        let mut span = span(number);
        let trace_state = TraceState::from_key_value([("a", "1"), ("b", "2")]).unwrap();
        let context = SpanContext::new(
            span.span_context.trace_id(),
            span.span_context.span_id(),
            span.span_context.trace_flags(),
            true,
            trace_state,
        );
        span.span_context = context.clone();
        span.status = Status::error("failed");
        span.attributes.push(KeyValue::new(
            "list",
            Value::Array(Array::I64(vec![1, 2, 3])),
        ));
        let event = Event::new("event", SystemTime::now(), vec![KeyValue::new("a", 1.5)], 0);
        span.events.events.push(event);
        span.links
            .links
            .push(Link::new(context, vec![KeyValue::new("a", true)], 0));
        span
    };
    assert_eq!(allocations(rich).count_total, 0);
}

#[test]
fn spans_of_several_scopes_allocate_nothing() {
    let scoped = |number| SpanData {
        instrumentation_scope: InstrumentationScope::builder(["a", "b", "c"][number as usize % 3])
            .build(),
        ..span(number)
    };
    assert_eq!(allocations(scoped).count_total, 0);
}

#[test]
fn a_full_buffer_refuses_without_allocating() {
    let hanging = support::transport::Scripted::hanging();
    let (processor, exporter) = Exporter::builder()
        .transport(hanging)
        .buffer_bytes(64 << 10)
        .batch_bytes(8 << 10)
        .build()
        .unwrap();
    processor.on_end(span(0));
    // The only slot is taken for good.
    exporter
        .blocking_flush(Duration::from_millis(1))
        .unwrap_err();
    (0..1000).for_each(|number| processor.on_end(span(number)));
    let before = exporter.stats().dropped.buffer_full;
    assert!(before > 0);
    let spans: Vec<_> = (0..SPANS).map(span).collect();
    let info = measure(|| spans.into_iter().for_each(|span| processor.on_end(span)));
    assert_eq!(info.count_total, 0);
    assert_eq!(exporter.stats().dropped.buffer_full, before + SPANS);
}
