//! A span that is forwarded: the stamp on the encoded request, beside decoding it with prost, editing
//! the structures and encoding them. Then the same for several requests that become one batch.
//!
//! The spans have the 13 attributes of an HTTP server span. Both sides start with the encoded requests
//! and end with the next one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench is run by people, and may fail"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use towline_benches::compare;
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_forwarder::{Identity, Stamp};
use towline_otlp::Batch;

/// As many as the SDK puts into a batch.
const SPANS: usize = 512;

/// Of as many clients, in the benchmark that merges.
const SENDERS: usize = 16;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn span() -> Span {
    Span {
        trace_id: vec![0xa7; 16],
        span_id: vec![0xf6; 8],
        parent_span_id: vec![0xb7; 8],
        flags: 0x301,
        name: "GET /users/{id}".into(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_123_456_789,
        end_time_unix_nano: 1_700_000_000_234_567_891,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.scheme", "https"),
            text("url.path", "/users/42"),
            text("url.query", "q=abc"),
            text("http.route", "/users/{id}"),
            pair("http.response.status_code", Value::IntValue(200)),
            text("network.protocol.version", "1.1"),
            text("server.address", "users.example.com"),
            pair("server.port", Value::IntValue(443)),
            text("client.address", "203.0.113.7"),
            text("network.peer.address", "10.0.0.17"),
            pair("network.peer.port", Value::IntValue(51_324)),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
        ],
        ..Span::default()
    }
}

fn request(span: &Span, spans: usize) -> Bytes {
    let scope_spans = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "towline-http".into(),
            version: "0.1.0".into(),
            ..InstrumentationScope::default()
        }),
        spans: vec![span.clone(); spans],
        ..ScopeSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "users")],
                ..Resource::default()
            }),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}

/// What a forwarder does that decodes.
fn prost(request: &Bytes) -> Vec<u8> {
    edited(request, "alice").encode_to_vec()
}

/// The attributes of resources and spans alone.
fn edited(request: &Bytes, identity: &str) -> ExportTraceServiceRequest {
    let mut request = ExportTraceServiceRequest::decode(request.clone()).unwrap();
    let edit = |attributes: &mut Vec<KeyValue>| {
        attributes.retain(|attribute| attribute.key != FORWARDED_FOR);
        attributes.push(text(FORWARDED_FOR, identity));
    };
    for resource_spans in &mut request.resource_spans {
        edit(&mut resource_spans.resource.get_or_insert_default().attributes);
        let scopes = &mut resource_spans.scope_spans;
        for span in scopes.iter_mut().flat_map(|scope| &mut scope.spans) {
            edit(&mut span.attributes);
        }
    }
    request
}

/// Requests of several senders, decoded, edited and encoded as one.
fn prost_merged(requests: &[Bytes]) -> Vec<u8> {
    let edited = requests
        .iter()
        .flat_map(|request| edited(request, "alice").resource_spans);
    let merged = ExportTraceServiceRequest {
        resource_spans: edited.collect(),
    };
    merged.encode_to_vec()
}

/// The same as `Forwarder` and `Coalesce` do it.
fn merged(stamp: &Stamp, requests: &[Bytes]) -> Batch {
    Batch::concat(requests.iter().map(|request| stamp.apply(request).unwrap()))
}

fn main() {
    let stamp = Stamp::new(&Identity::new("alice").unwrap());
    let mut forged = span();
    forged.attributes.push(text(FORWARDED_FOR, "mallory"));
    let requests = [
        ("plain", request(&span(), SPANS)),
        ("forged", request(&forged, SPANS)),
    ];

    for (name, request) in &requests {
        // The attribute stands behind other fields, which no reader can tell.
        let decoded = |bytes: &[u8]| ExportTraceServiceRequest::decode(bytes).unwrap();
        let stamped = stamp.apply(request).unwrap();
        assert!(decoded(stamped.bytes()) == decoded(&prost(request)));
        compare(
            &format!("a stamped span, {name}, {} bytes", request.len() / SPANS),
            SPANS,
            || (),
            ("towline", |()| {
                drop(black_box(stamp.apply(request).unwrap()))
            }),
            ("opentelemetry-proto + prost", |()| {
                drop(black_box(prost(request)))
            }),
        );
    }

    let senders = vec![request(&span(), SPANS / SENDERS); SENDERS];
    let decoded = ExportTraceServiceRequest::decode(merged(&stamp, &senders).bytes().clone());
    assert!(
        decoded.unwrap() == ExportTraceServiceRequest::decode(&prost_merged(&senders)[..]).unwrap()
    );
    compare(
        &format!("a stamped span of {SENDERS} requests that become one batch"),
        SPANS,
        || (),
        ("towline", |()| drop(black_box(merged(&stamp, &senders)))),
        ("opentelemetry-proto + prost", |()| {
            drop(black_box(prost_merged(&senders)))
        }),
    );

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("stamp");
    group.throughput(Throughput::Elements(SPANS as u64));
    for (name, request) in &requests {
        group.bench_function(format!("towline, {name}"), |bencher| {
            bencher.iter(|| stamp.apply(request).unwrap());
        });
        group.bench_function(format!("opentelemetry-proto, {name}"), |bencher| {
            bencher.iter(|| prost(request));
        });
    }
    group.finish();
    criterion.final_summary();
}
