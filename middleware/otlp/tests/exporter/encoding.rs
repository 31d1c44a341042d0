//! The encoder writes what `opentelemetry-proto` makes of the same spans, byte for byte.

use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use proptest::prelude::*;
use prost::Message;
use towline_otlp::{Batch, Exporter};

use crate::support::spans::{any_attribute, any_resource, any_span, sampled, span};
use crate::support::transport::{Scripted, decode};

/// What the transformation of `opentelemetry-proto` makes of them.
fn expected(resource: &Resource, spans: Vec<SpanData>) -> ExportTraceServiceRequest {
    let resource = ResourceAttributesWithSchema::from(resource);
    ExportTraceServiceRequest {
        resource_spans: group_spans_by_resource_and_scope(spans, &resource),
    }
}

#[track_caller]
fn assert_same(batch: &Batch, expected: &ExportTraceServiceRequest) {
    if *batch.bytes() != expected.encode_to_vec() {
        // As text, since that says where, and since NaN is not equal to itself.
        assert_eq!(format!("{:#?}", decode(batch)), format!("{expected:#?}"));
        panic!("the fields are the same, their order is not");
    }
}

/// Sends spans through an exporter, in one batch.
fn exported(resource: &Resource, spans: &[SpanData]) -> Batch {
    let transport = Scripted::accepting();
    let (mut processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .batch_bytes(8 << 20)
        .buffer_bytes(64 << 20)
        .build()
        .unwrap();
    processor.set_resource(resource);
    for span in spans {
        processor.on_end(span.clone());
    }
    exporter.blocking_shutdown(Duration::from_secs(30)).unwrap();
    let batches = transport.taken();
    assert!(batches.len() <= 1);
    batches.into_iter().next().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_spans_are_encoded_as_opentelemetry_proto_does(
        resource in any_resource(),
        spans in proptest::collection::vec(any_span(), 1..8),
    ) {
        let batch = Batch::encode(&resource, &spans);
        prop_assert_eq!(batch.spans(), spans.len());
        prop_assert_eq!(Batch::parse(batch.bytes().clone()).unwrap().spans(), spans.len());
        assert_same(&batch, &expected(&resource, spans));
    }

    #[test]
    fn any_spans_are_exported_as_opentelemetry_proto_does(
        resource in any_resource(),
        spans in proptest::collection::vec(any_span().prop_map(sampled), 1..8),
    ) {
        let batch = exported(&resource, &spans);
        prop_assert_eq!(batch.spans(), spans.len());
        assert_same(&batch, &expected(&resource, spans));
    }

    #[test]
    fn ten_thousand_attributes_are_too(attribute in any_attribute()) {
        let mut span = span(0);
        span.attributes = vec![attribute; 10_000];
        let resource = Resource::builder_empty().build();
        assert_same(&Batch::encode(&resource, [&span]), &expected(&resource, vec![span]));
    }
}

#[test]
fn no_spans_are_an_empty_request() {
    let batch = Batch::encode(&Resource::builder_empty().build(), []);
    assert_eq!(batch, Batch::default());
}

#[test]
fn unsampled_spans_are_passed_over() {
    let mut span = span(0);
    span.span_context = opentelemetry::trace::SpanContext::new(
        span.span_context.trace_id(),
        span.span_context.span_id(),
        opentelemetry::TraceFlags::NOT_SAMPLED,
        false,
        Default::default(),
    );
    assert_eq!(
        exported(&Resource::builder_empty().build(), &[span]),
        Batch::default()
    );
}

#[test]
fn the_scopes_of_a_batch_stand_in_the_order_of_their_first_spans() {
    let scopes = ["b", "a", "b", "c", "a"].map(|name| InstrumentationScope::builder(name).build());
    let spans: Vec<_> = (0u64..)
        .zip(scopes)
        .map(|(number, scope)| SpanData {
            instrumentation_scope: scope,
            ..span(number)
        })
        .collect();
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("a", "b"))
        .build();
    let batch = exported(&resource, &spans);
    let names: Vec<_> = decode(&batch).resource_spans[0]
        .scope_spans
        .iter()
        .map(|scope| {
            (
                scope.scope.as_ref().unwrap().name.clone(),
                scope.spans.len(),
            )
        })
        .collect();
    assert_eq!(names, [("b".into(), 2), ("a".into(), 2), ("c".into(), 1)]);
    assert_same(&batch, &expected(&resource, spans));
}

#[test]
fn more_scopes_than_a_block_has_room_for_are_still_written_once_each() {
    let spans: Vec<_> = (0..1000)
        .map(|number| SpanData {
            instrumentation_scope: InstrumentationScope::builder(format!("scope {}", number % 300))
                .build(),
            ..span(number)
        })
        .collect();
    let resource = Resource::builder_empty().build();
    assert_same(&exported(&resource, &spans), &expected(&resource, spans));
}
