//! A request is stamped with two allocations, however many spans it has.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_forwarder::{Identity, Stamp};

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn stamped(spans: usize, attributes: &[KeyValue]) -> AllocationInfo {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /users/{id}".into(),
        attributes: attributes.to_vec(),
        events: vec![Event {
            attributes: attributes.to_vec(),
            ..Event::default()
        }],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span; spans],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let request = Bytes::from(request.encode_to_vec());
    let stamp = Stamp::new(&Identity::new("alice").unwrap());
    let mut batch = None;
    let info = measure(|| batch = Some(stamp.apply(&request).unwrap()));
    assert_eq!(batch.unwrap().spans(), spans);
    info
}

#[test]
fn two_for_a_request_of_any_size() {
    let string = |value: &str| Value::StringValue(value.into());
    let list = Value::ArrayValue(ArrayValue {
        values: vec![AnyValue {
            value: Some(string("a")),
        }],
    });
    let attributes = [
        attribute("url.path", string("/users/42")),
        attribute("http.response.status_code", Value::IntValue(200)),
        attribute("user_agent.original", string(&"Mozilla/5.0 ".repeat(12))),
        attribute("list", list),
        attribute("name", string("Am\u{e9}lie")),
    ];
    for spans in [1, 10, 512, 20_000] {
        assert_eq!(stamped(spans, &attributes).count_total, 2, "{spans}");
    }
}

#[test]
fn a_few_for_the_smallest_spans_and_for_forged_ones() {
    // What is noted about each span takes more room than the span: it grows, by doubling.
    let info = stamped(20_000, &[]);
    assert!(info.count_total < 12, "{info:?}");
    let forged = attribute(FORWARDED_FOR, Value::BoolValue(true));
    let info = stamped(20_000, &[forged.clone(), forged]);
    assert!(info.count_total < 12, "{info:?}");
}

#[test]
fn what_is_noted_of_a_request_does_not_outgrow_the_limit() {
    // A resource is added to each of these two bytes.
    let request = Bytes::from([0x0a, 0].repeat(2_000_000));
    let max_bytes = request.len() + (1 << 20);
    let stamp = Stamp::new(&Identity::new("alice").unwrap()).max_bytes(max_bytes);
    let info = measure(|| {
        stamp.apply(&request).unwrap_err();
    });
    assert!(info.bytes_max < 4 * max_bytes as u64, "{info:?}");
}

#[test]
fn a_run_of_forged_attributes_is_noted_once() {
    let span = Span {
        attributes: vec![attribute(FORWARDED_FOR, Value::BoolValue(true)); 100_000],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let request = Bytes::from(request.encode_to_vec());
    let stamp = Stamp::new(&Identity::new("alice").unwrap());
    let info = measure(|| {
        stamp.apply(&request).unwrap();
    });
    assert!(info.bytes_max < request.len() as u64 / 4, "{info:?}");
}
