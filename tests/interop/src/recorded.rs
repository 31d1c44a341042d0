//! What was recorded, in the form that is compared. Nothing here goes through Towline's encoder.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceState};
use opentelemetry::{Array, KeyValue};
use opentelemetry_sdk::trace::SpanData;

use crate::span::{Attribute, Event, Link, Resource, Scope, Span, Value, sort};

/// The spans, each with the resource.
#[must_use]
pub fn spans(spans: &[SpanData], resource: &opentelemetry_sdk::Resource) -> Vec<Span> {
    let mut attributes: Vec<_> = resource
        .iter()
        .map(|(key, of)| Attribute::new(key.as_str(), value(of)))
        .collect();
    sort(&mut attributes);
    let resource = Resource {
        attributes,
        dropped_attributes: 0,
        schema_url: resource.schema_url().unwrap_or_default().to_owned(),
    };
    spans.iter().map(|data| span(data, &resource)).collect()
}

fn span(span: &SpanData, resource: &Resource) -> Span {
    let context = &span.span_context;
    let (status_code, status_message) = match &span.status {
        Status::Unset => (0, String::new()),
        Status::Ok => (1, String::new()),
        Status::Error { description } => (2, description.to_string()),
    };
    let scope = &span.instrumentation_scope;
    Span {
        trace_id: context.trace_id().to_string(),
        span_id: context.span_id().to_string(),
        parent_span_id: if span.parent_span_id == SpanId::INVALID {
            String::new()
        } else {
            span.parent_span_id.to_string()
        },
        trace_state: trace_state(context.trace_state()),
        flags: flags(context, span.parent_span_is_remote),
        name: span.name.to_string(),
        kind: match span.span_kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
        start_time: nanos(span.start_time),
        end_time: nanos(span.end_time),
        attributes: attributes(&span.attributes),
        dropped_attributes: span.dropped_attributes_count,
        events: span
            .events
            .iter()
            .map(|event| Event {
                time: nanos(event.timestamp),
                name: event.name.to_string(),
                attributes: attributes(&event.attributes),
                dropped_attributes: event.dropped_attributes_count,
            })
            .collect(),
        dropped_events: span.events.dropped_count,
        links: span
            .links
            .iter()
            .map(|link| Link {
                trace_id: link.span_context.trace_id().to_string(),
                span_id: link.span_context.span_id().to_string(),
                trace_state: trace_state(link.span_context.trace_state()),
                flags: flags(&link.span_context, link.span_context.is_remote()),
                attributes: attributes(&link.attributes),
                dropped_attributes: link.dropped_attributes_count,
            })
            .collect(),
        dropped_links: span.links.dropped_count,
        status_code,
        status_message,
        resource: resource.clone(),
        scope: Scope {
            name: scope.name().to_owned(),
            version: scope.version().unwrap_or_default().to_owned(),
            attributes: scope.attributes().map(attribute).collect(),
            dropped_attributes: 0,
            schema_url: scope.schema_url().unwrap_or_default().to_owned(),
        },
    }
}

fn attributes(attributes: &[KeyValue]) -> Vec<Attribute> {
    attributes.iter().map(attribute).collect()
}

fn attribute(attribute: &KeyValue) -> Attribute {
    Attribute::new(attribute.key.as_str(), value(&attribute.value))
}

fn value(of: &opentelemetry::Value) -> Value {
    use opentelemetry::Value as Recorded;

    match of {
        Recorded::Bool(value) => Value::Bool(*value),
        Recorded::I64(value) => Value::Int(*value),
        Recorded::F64(value) => Value::Double((*value).into()),
        Recorded::String(value) => Value::String(value.to_string()),
        Recorded::Array(Array::Bool(values)) => list(values, |value| Value::Bool(*value)),
        Recorded::Array(Array::I64(values)) => list(values, |value| Value::Int(*value)),
        Recorded::Array(Array::F64(values)) => list(values, |value| Value::Double((*value).into())),
        Recorded::Array(Array::String(values)) => {
            list(values, |value| Value::String(value.to_string()))
        }
        other => panic!("the API has a new kind of value: {other:?}"),
    }
}

fn list<T>(values: &[T], value: impl Fn(&T) -> Value) -> Value {
    Value::Array(values.iter().map(value).collect())
}

fn trace_state(trace_state: &TraceState) -> String {
    trace_state.header()
}

/// `SpanFlags` of opentelemetry-proto: the W3C flags, "it is known whether it is remote", "it is".
fn flags(context: &SpanContext, remote: bool) -> u32 {
    u32::from(context.trace_flags().to_u8()) + 0x100 + if remote { 0x200 } else { 0 }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).expect("not before 1970");
    since.as_nanos().try_into().expect("not after 2554")
}
