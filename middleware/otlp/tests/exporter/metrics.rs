//! The counts as OpenTelemetry metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SpanProcessor;
use towline_otlp::{ExportError, ExportErrorKind, Exporter, PeerStatus, Receipt};

use crate::support::spans::span;
use crate::support::transport::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(60);

/// Values by metric, type of the component and type of the error.
fn read(provider: &SdkMeterProvider, memory: &InMemoryMetricExporter) -> BTreeMap<String, i64> {
    memory.reset();
    provider.force_flush().unwrap();
    let mut values = BTreeMap::new();
    for resource in memory.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            assert_eq!(metric.unit(), "{span}");
            let mut note = |attributes: Vec<(String, String)>, value: i64| {
                let of = |key: &str| {
                    let found = attributes.iter().find(|(name, _)| name == key);
                    found.map(|(_, value)| value.clone()).unwrap_or_default()
                };
                assert!(of("otel.component.name").starts_with(&of("otel.component.type")));
                let key = format!(
                    "{} {} {}",
                    metric.name(),
                    of("otel.component.type"),
                    of("error.type")
                );
                assert!(values.insert(key.trim().to_owned(), value).is_none());
            };
            let pairs = |attribute: &opentelemetry::KeyValue| {
                (attribute.key.to_string(), attribute.value.to_string())
            };
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        let value = i64::try_from(point.value()).unwrap();
                        note(point.attributes().map(pairs).collect(), value);
                    }
                }
                AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        note(point.attributes().map(pairs).collect(), point.value());
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    values
}

#[test]
fn every_span_is_in_the_metrics_under_the_names_of_the_conventions() {
    let transport = Scripted::new(|call, _| -> Answer {
        Box::pin(std::future::ready(match call {
            0 => Ok(Receipt::partial(2, "two are old")),
            1 => Err(ExportError::refused("peer", PeerStatus::Http(400))),
            2 => Err(ExportError::new(ExportErrorKind::Other, "broken")),
            3 => Err(ExportError::new(ExportErrorKind::TooLarge, "too large")),
            _ => return Box::pin(std::future::pending()),
        }))
    });
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .buffer_spans(8)
        .flush_interval(LONG * 60)
        .build()
        .unwrap();
    let memory = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(memory.clone()).build())
        .build();
    exporter.observe_with(&provider.meter("test"));

    for spans in [5, 3, 2, 1] {
        (0..spans).for_each(|number| processor.on_end(span(number)));
        let _ = exporter.blocking_flush(LONG);
    }
    // On its way, waiting, and refused.
    processor.on_end(span(0));
    assert!(exporter.blocking_flush(Duration::from_millis(20)).is_err());
    (0..10).for_each(|number| processor.on_end(span(number)));

    let expected = |key: &str, value| (key.to_owned(), value);
    assert_eq!(
        read(&provider, &memory),
        BTreeMap::from([
            expected(
                "otel.sdk.processor.span.queue.size batching_span_processor",
                7
            ),
            expected(
                "otel.sdk.processor.span.queue.capacity batching_span_processor",
                8
            ),
            expected(
                "otel.sdk.processor.span.processed batching_span_processor",
                12
            ),
            expected(
                "otel.sdk.processor.span.processed batching_span_processor queue_full",
                3
            ),
            expected(
                "otel.sdk.processor.span.processed batching_span_processor already_shutdown",
                0
            ),
            expected("otel.sdk.exporter.span.inflight towline_span_exporter", 1),
            expected("otel.sdk.exporter.span.exported towline_span_exporter", 3),
            expected(
                "otel.sdk.exporter.span.exported towline_span_exporter rejected",
                5
            ),
            expected(
                "otel.sdk.exporter.span.exported towline_span_exporter too_large",
                1
            ),
            expected(
                "otel.sdk.exporter.span.exported towline_span_exporter retries_exhausted",
                2
            ),
        ])
    );
    // The instruments keep nothing alive, and say nothing any more.
    drop((processor, exporter));
    let left: Vec<_> = read(&provider, &memory).into_keys().collect();
    assert_eq!(
        left,
        ["otel.sdk.processor.span.queue.capacity batching_span_processor"]
    );
}
