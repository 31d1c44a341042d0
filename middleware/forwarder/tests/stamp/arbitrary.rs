//! Any request, with forged attributes anywhere in it.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use towline_forwarder::stamp::FORWARDED_FOR;

pub(crate) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    vec(resource_spans(), 0..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn resource_spans() -> impl Strategy<Value = ResourceSpans> {
    let entity = text().prop_map(|text| EntityRef {
        r#type: text,
        id_keys: vec![FORWARDED_FOR.into()],
        ..EntityRef::default()
    });
    let resource = (attributes(), any::<u32>(), vec(entity, 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        },
    );
    (option::of(resource), vec(scope_spans(), 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        },
    )
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    let scope = (text(), text(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    );
    (option::of(scope), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| {
        ScopeSpans {
            scope,
            spans,
            schema_url,
        }
    })
}

fn span() -> impl Strategy<Value = Span> {
    let id = |bytes| prop_oneof![Just(vec![]), vec(any::<u8>(), bytes)];
    let event = (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), text(), attributes(), any::<u32>()).prop_map(
        |(trace_id, trace_state, attributes, flags)| Link {
            trace_id,
            trace_state,
            attributes,
            flags,
            ..Link::default()
        },
    );
    let status = (text(), any::<i32>()).prop_map(|(message, code)| Status { message, code });
    (
        (id(16), id(8), text(), text()),
        (any::<i32>(), any::<u64>(), any::<u32>(), any::<u32>()),
        attributes(),
        (vec(event, 0..3), vec(link, 0..3), option::of(status)),
    )
        .prop_map(
            |(
                (trace_id, span_id, trace_state, name),
                (kind, time, flags, dropped_attributes_count),
                attributes,
                (events, links, status),
            )| Span {
                trace_id,
                span_id,
                trace_state,
                name,
                kind,
                start_time_unix_nano: time,
                flags,
                dropped_attributes_count,
                attributes,
                events,
                links,
                status,
                ..Span::default()
            },
        )
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(attribute(value()), 0..4)
}

fn attribute(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    (key(), option::weighted(0.9, value)).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..KeyValue::default()
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(FORWARDED_FOR.to_owned()),
        1 => prop::sample::select(vec!["teleport", "teleport.forwarded", "forwarded", "forwarded.for", "for"])
            .prop_map(str::to_owned),
        1 => Just(FORWARDED_FOR.to_uppercase()),
        3 => text(),
    ]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let scalar = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        // Compared as a whole, and NaN is not equal to itself.
        any::<i32>().prop_map(|value| Value::DoubleValue(value.into())),
        vec(any::<u8>(), 0..200).prop_map(Value::BytesValue),
    ];
    let value = |value| AnyValue { value };
    let leaf = option::weighted(0.9, scalar).prop_map(value);
    leaf.prop_recursive(4, 12, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(attribute(inner), 0..3)
                .prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(move |list| value(Some(list)))
    })
}

/// Short for the most part, around the lengths at which a varint gets longer, and not ASCII alone.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z.]{0,8}",
        1 => "[a-z\u{e4}\u{20ac}\u{1f980}]{0,8}",
        1 => "[a-z]{90,140}",
    ]
}
