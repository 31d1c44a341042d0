use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::handle::Core;
use super::stats::Stats;

/// Registers instruments that read the counts of an exporter whenever a reader asks.
pub(super) fn observe(core: &Arc<Core>, meter: &Meter) {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let attributes = |kind: &'static str| {
        [
            KeyValue::new("otel.component.type", kind),
            KeyValue::new("otel.component.name", format!("{kind}/{number}")),
        ]
    };
    let processor = attributes("batching_span_processor");
    let exporter = attributes(core.component);

    // An instrument must not keep the exporter alive, nor count for one that is gone.
    let stats = |core: &Weak<Core>| core.upgrade().map(|core| core.stats());
    let source = Arc::downgrade(core);
    let shared = processor.clone();
    meter
        .i64_observable_up_down_counter("otel.sdk.processor.span.queue.size")
        .with_unit("{span}")
        .with_description("Spans that wait to be exported.")
        .with_callback(move |observer| {
            if let Some(stats) = stats(&source) {
                observer.observe(gauge(stats.held), &shared);
            }
        })
        .build();
    let limit = core.buffer.limits().buffer_spans;
    if limit != usize::MAX {
        let shared = processor.clone();
        meter
            .i64_observable_up_down_counter("otel.sdk.processor.span.queue.capacity")
            .with_unit("{span}")
            .with_description("The most spans that can wait to be exported.")
            .with_callback(move |observer| observer.observe(gauge(limit as u64), &shared))
            .build();
    }
    let source = Arc::downgrade(core);
    meter
        .u64_observable_counter("otel.sdk.processor.span.processed")
        .with_unit("{span}")
        .with_description("Spans that were passed on to be exported, or dropped before that.")
        .with_callback(move |observer| {
            if let Some(stats) = stats(&source) {
                for (error, spans) in processed(&stats) {
                    observer.observe(spans, &with_error(&processor, error));
                }
            }
        })
        .build();
    let source = Arc::downgrade(core);
    let shared = exporter.clone();
    meter
        .i64_observable_up_down_counter("otel.sdk.exporter.span.inflight")
        .with_unit("{span}")
        .with_description("Spans in batches that are on their way.")
        .with_callback(move |observer| {
            if let Some(stats) = stats(&source) {
                observer.observe(gauge(stats.in_flight), &shared);
            }
        })
        .build();
    let source = Arc::downgrade(core);
    meter
        .u64_observable_counter("otel.sdk.exporter.span.exported")
        .with_unit("{span}")
        .with_description("Spans whose export has ended, well or not.")
        .with_callback(move |observer| {
            if let Some(stats) = stats(&source) {
                for (error, spans) in exported(&stats) {
                    observer.observe(spans, &with_error(&exporter, error));
                }
            }
        })
        .build();
}

/// By `error.type`, with the words of the conventions.
fn processed(stats: &Stats) -> [(Option<&'static str>, u64); 3] {
    let dropped = &stats.dropped;
    let passed_on =
        stats.exported + stats.in_flight + dropped.refused + dropped.too_large + dropped.failed;
    [
        (None, passed_on),
        (Some("queue_full"), dropped.buffer_full),
        (Some("already_shutdown"), dropped.shutdown),
    ]
}

fn exported(stats: &Stats) -> [(Option<&'static str>, u64); 4] {
    let dropped = &stats.dropped;
    [
        (None, stats.exported),
        (Some("rejected"), dropped.refused),
        (Some("too_large"), dropped.too_large),
        (Some("retries_exhausted"), dropped.failed),
    ]
}

fn with_error(component: &[KeyValue], error: Option<&'static str>) -> Vec<KeyValue> {
    let error = error.map(|error| KeyValue::new("error.type", error));
    component.iter().cloned().chain(error).collect()
}

fn gauge(spans: u64) -> i64 {
    i64::try_from(spans).unwrap_or(i64::MAX)
}

/// Tells the exporters of a process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);
