//! Through Towline's exporter to a peer.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_otlp::{Exporter, Stats};

/// Exports spans to a URL, and says where they went.
///
/// # Panics
///
/// When the exporter cannot be built.
pub fn export(url: &str, resource: &Resource, spans: &[SpanData]) -> Stats {
    let (processor, exporter) = Exporter::builder()
        .url(url)
        .resource(resource.clone())
        .build()
        .unwrap_or_else(|error| panic!("{url}: {error:?}"));
    for span in spans {
        processor.on_end(span.clone());
    }
    match exporter.blocking_shutdown(DEADLINE) {
        Ok(summary) => summary.stats,
        Err(error) => error.stats(),
    }
}

/// [`export`], of which nothing may be lost.
///
/// # Panics
///
/// When a span was not exported, or not at the first attempt.
#[track_caller]
pub fn export_all(url: &str, resource: &Resource, spans: &[SpanData]) {
    let stats = export(url, resource, spans);
    assert_eq!(
        (stats.exported, stats.failed_attempts),
        (spans.len() as u64, 0),
        "{url}: {stats:?}"
    );
}

/// Generous: this is not about time.
const DEADLINE: Duration = Duration::from_secs(60);
