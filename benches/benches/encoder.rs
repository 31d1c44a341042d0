//! One span from the SDK to OTLP protobuf: Towline's encoder beside the structures of
//! `opentelemetry-proto` and prost.
//!
//! The span has the 13 attributes of an HTTP server span. Both sides own the spans and free them.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench is run by people, and may fail"
)]

use std::future::pending;
use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use criterion::{BatchSize, Criterion, Throughput};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor};
use prost::Message;
use tower::service_fn;
use towline_benches::compare;
use towline_otlp::{Batch, Discard, ExportError, Exporter, Processor, Receipt};

/// As many as the SDK puts into a batch.
const SPANS: usize = 512;

fn span() -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(0x00f0_67aa_0ba9_02b7),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::from(0xb7ad_6b71_6920_3331),
        parent_span_is_remote: true,
        span_kind: SpanKind::Server,
        name: "GET /users/{id}".into(),
        start_time: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
        end_time: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_234_567_891),
        attributes: vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("url.scheme", "https"),
            KeyValue::new("url.path", String::from("/users/42")),
            KeyValue::new("url.query", String::from("q=abc")),
            KeyValue::new("http.route", "/users/{id}"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("network.protocol.version", "1.1"),
            KeyValue::new("server.address", String::from("users.example.com")),
            KeyValue::new("server.port", 443),
            KeyValue::new("client.address", String::from("203.0.113.7")),
            KeyValue::new("network.peer.address", String::from("10.0.0.17")),
            KeyValue::new("network.peer.port", 51_324),
            KeyValue::new(
                "user_agent.original",
                String::from("Mozilla/5.0 (X11; Linux x86_64)"),
            ),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("towline-http")
            .with_version("0.1.0")
            .build(),
    }
}

fn resource() -> Resource {
    Resource::builder_empty().with_service_name("users").build()
}

fn spans() -> Vec<SpanData> {
    vec![span(); SPANS]
}

fn prost(resource: &ResourceAttributesWithSchema, spans: Vec<SpanData>) {
    let resource_spans = group_spans_by_resource_and_scope(spans, resource);
    black_box(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
}

fn on_end(processor: &Processor, spans: Vec<SpanData>) {
    for span in spans {
        processor.on_end(span);
    }
}

/// An exporter whose backend never answers, and whose buffer is full.
fn full_exporter() -> (Processor, Exporter) {
    let hanging = service_fn(|_batch: Batch| pending::<Result<Receipt, ExportError>>());
    let (processor, exporter) = Exporter::builder()
        .transport(hanging)
        .buffer_bytes(64 << 10)
        .batch_bytes(8 << 10)
        .build()
        .unwrap();
    while exporter.stats().dropped.buffer_full < 100 || exporter.stats().in_flight == 0 {
        processor.on_end(span());
    }
    (processor, exporter)
}

fn main() {
    let schema = ResourceAttributesWithSchema::from(&resource());
    let towline = resource();
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .build()
        .unwrap();
    println!(
        "one encoded span: {} bytes",
        Batch::encode(&towline, [&span()]).len_bytes()
    );
    compare(
        "a span into an OTLP request",
        SPANS,
        spans,
        ("towline", |spans: Vec<SpanData>| {
            drop(black_box(Batch::encode(&towline, &spans)))
        }),
        ("opentelemetry-proto + prost", |spans| prost(&schema, spans)),
    );
    compare(
        "a span through on_end, encoded and in the buffer",
        SPANS,
        spans,
        ("towline", |spans| on_end(&processor, spans)),
        ("opentelemetry-proto + prost", |spans| prost(&schema, spans)),
    );
    compare(
        "the same, beside freeing the spans alone",
        SPANS,
        spans,
        ("towline", |spans| on_end(&processor, spans)),
        ("freeing alone", drop),
    );

    let (full, _full_exporter) = full_exporter();
    compare(
        "a span that a full buffer refuses",
        SPANS,
        spans,
        ("towline", |spans| on_end(&full, spans)),
        ("freeing alone", drop),
    );

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("encoder");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("towline", |bencher| {
        bencher.iter_batched(
            spans,
            |spans| drop(black_box(Batch::encode(&towline, &spans))),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("on_end", |bencher| {
        bencher.iter_batched(
            spans,
            |spans| on_end(&processor, spans),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("opentelemetry-proto", |bencher| {
        bencher.iter_batched(spans, |spans| prost(&schema, spans), BatchSize::LargeInput);
    });
    group.finish();
    criterion.final_summary();
    exporter.blocking_shutdown(Duration::from_secs(5)).unwrap();
}
