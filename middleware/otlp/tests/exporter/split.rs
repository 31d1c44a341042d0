//! Batches and the peer's message limit.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_otlp::{Exporter, ExporterBuilder, FlushErrorKind};

use crate::log::Log;
use crate::support::collector::{GrpcCollector, HttpCollector, spans};
use crate::support::spans::{number, span};

const LONG: Duration = Duration::from_secs(60);

fn large(number: u64, bytes: usize) -> SpanData {
    let mut span = span(number);
    let filler = KeyValue::new("filler", "x".repeat(bytes));
    span.attributes.push(filler);
    span
}

/// An exporter that puts everything into one batch.
fn builder(url: String) -> ExporterBuilder {
    Exporter::builder()
        .url(url)
        .batch_bytes(16 << 20)
        .buffer_bytes(64 << 20)
        .flush_interval(LONG * 60)
}

#[test]
fn a_grpc_server_s_limit_is_learned_from_its_refusal() {
    let collector = GrpcCollector::limited(100 << 10);
    let log = Log::default();
    let (_program, (processor, exporter)) = log.hears(|| builder(collector.url()).build().unwrap());
    for round in 0..2 {
        for span in 0..50 {
            // One of them is too large alone.
            let size = if span == 7 { 200 << 10 } else { 10 << 10 };
            processor.on_end(large(round * 50 + span, size));
        }
        let error = exporter.blocking_flush(LONG).unwrap_err();
        assert_eq!(
            (error.kind(), error.lost_spans()),
            (FlushErrorKind::Lost, 1)
        );
    }
    let stats = exporter.stats();
    assert_eq!((stats.exported, stats.dropped.too_large), (98, 2));
    let mut found: Vec<_> = collector
        .requests()
        .iter()
        .flat_map(spans)
        .map(|span| number(&span.span_id))
        .collect();
    let arrived = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!((arrived, found.len()), (98, 98), "each once");
    assert_eq!(
        log.lines(),
        [
            "WARN towline_otlp message=spans are dropped, since each is larger than the backend takes spans=1"
        ]
    );
}

#[test]
fn a_413_is_answered_with_halves() {
    let collector = HttpCollector::limited(60 << 10);
    let (processor, exporter) = builder(collector.url()).build().unwrap();
    (0..40).for_each(|number| processor.on_end(large(number, 10 << 10)));
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(exporter.stats().exported, 40);
    let sizes: Vec<_> = collector
        .requests()
        .iter()
        .map(|request| request.body().len())
        .collect();
    assert!(sizes[0] > 400 << 10, "{sizes:?}");
    let taken: usize = sizes.iter().filter(|size| **size <= 60 << 10).sum();
    assert!(taken > 400 << 10, "{sizes:?}");
}

#[test]
fn four_mebibytes_are_assumed_for_grpc() {
    let collector = GrpcCollector::accepting();
    let (processor, exporter) = builder(collector.url()).build().unwrap();
    (0..10).for_each(|number| processor.on_end(large(number, 1 << 20)));
    // Larger alone: it is tried.
    processor.on_end(large(10, 5 << 20));
    exporter.blocking_flush(LONG).unwrap();
    let sizes: Vec<_> = collector
        .requests()
        .iter()
        .map(|request| spans(request).len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 11);
    assert!(sizes.iter().all(|spans| *spans <= 3), "{sizes:?}");
    assert_eq!(exporter.stats().failed_attempts, 0);
}

#[test]
fn a_configured_limit_is_kept_without_asking() {
    let collector = GrpcCollector::accepting();
    let (processor, exporter) = builder(collector.url())
        .max_message_bytes(64 << 10)
        .build()
        .unwrap();
    (0..20).for_each(|number| processor.on_end(large(number, 10 << 10)));
    processor.on_end(large(20, 64 << 10));
    exporter.blocking_flush(LONG).unwrap_err();
    let stats = exporter.stats();
    assert_eq!((stats.exported, stats.dropped.too_large), (20, 1));
    assert_eq!(stats.failed_attempts, 0);
    for request in collector.requests() {
        assert!(prost::Message::encoded_len(&request) <= 64 << 10);
    }
}

#[test]
fn pieces_are_accounted_for_one_by_one() {
    // The second piece is refused for good, the third only by two spans.
    let collector = GrpcCollector::start(|call| {
        Box::pin(std::future::ready(match call {
            1 => Err(tonic::Status::invalid_argument("no")),
            2 => Ok(ExportTraceServiceResponse {
                partial_success: Some(
                    opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess {
                        rejected_spans: 2,
                        error_message: "two are old".to_owned(),
                    },
                ),
            }),
            _ => Ok(ExportTraceServiceResponse::default()),
        }))
    });
    let (processor, exporter) = builder(collector.url())
        .max_message_bytes(32 << 10)
        .build()
        .unwrap();
    (0..12).for_each(|number| processor.on_end(large(number, 10 << 10)));
    let error = exporter.blocking_flush(LONG).unwrap_err();
    let sizes: Vec<_> = collector
        .requests()
        .iter()
        .map(|request| spans(request).len())
        .collect();
    assert_eq!(sizes, [3, 3, 3, 3]);
    assert_eq!(error.lost_spans(), 5);
    let stats = exporter.stats();
    assert_eq!((stats.exported, stats.dropped.refused), (7, 5));
}

#[test]
fn a_piece_that_is_refused_and_a_span_that_is_too_large_are_told_apart() {
    let collector = GrpcCollector::start(|call| {
        Box::pin(std::future::ready(match call {
            0 => Err(tonic::Status::invalid_argument("no")),
            _ => Ok(ExportTraceServiceResponse::default()),
        }))
    });
    let (processor, exporter) = builder(collector.url())
        .max_message_bytes(32 << 10)
        .build()
        .unwrap();
    for number in 0..7 {
        let bytes = if number == 3 { 64 << 10 } else { 10 << 10 };
        processor.on_end(large(number, bytes));
    }
    let error = exporter.blocking_flush(LONG).unwrap_err();
    assert_eq!(error.lost_spans(), 4);
    let stats = exporter.stats();
    assert_eq!((stats.exported, stats.in_flight), (3, 0));
    assert_eq!((stats.dropped.refused, stats.dropped.too_large), (3, 1));
}
