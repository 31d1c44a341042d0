//! Spans of a decoded OTLP message, in the form that is compared.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;

use crate::span::{Attribute, Event, Link, Resource, Scope, Span, Value, hex, sort};

/// The spans of a request.
#[must_use]
pub fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default();
        let mut resource = Resource {
            attributes: attributes(resource.attributes),
            dropped_attributes: resource.dropped_attributes_count,
            schema_url: of_resource.schema_url,
        };
        sort(&mut resource.attributes);
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.unwrap_or_default();
            let scope = Scope {
                name: scope.name,
                version: scope.version,
                attributes: attributes(scope.attributes),
                dropped_attributes: scope.dropped_attributes_count,
                schema_url: of_scope.schema_url,
            };
            let of_scope = of_scope.spans.into_iter();
            spans.extend(of_scope.map(|otlp| span(otlp, &resource, &scope)));
        }
    }
    spans
}

fn span(span: otlp::Span, resource: &Resource, scope: &Scope) -> Span {
    let status = span.status.unwrap_or_default();
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        trace_state: span.trace_state,
        flags: span.flags,
        name: span.name,
        kind: span.kind,
        start_time: span.start_time_unix_nano,
        end_time: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        dropped_attributes: span.dropped_attributes_count,
        events: span.events.into_iter().map(event).collect(),
        dropped_events: span.dropped_events_count,
        links: span.links.into_iter().map(link).collect(),
        dropped_links: span.dropped_links_count,
        status_code: status.code,
        status_message: status.message,
        resource: resource.clone(),
        scope: scope.clone(),
    }
}

fn event(event: otlp::span::Event) -> Event {
    Event {
        time: event.time_unix_nano,
        name: event.name,
        attributes: attributes(event.attributes),
        dropped_attributes: event.dropped_attributes_count,
    }
}

fn link(link: otlp::span::Link) -> Link {
    Link {
        trace_id: hex(&link.trace_id),
        span_id: hex(&link.span_id),
        trace_state: link.trace_state,
        flags: link.flags,
        attributes: attributes(link.attributes),
        dropped_attributes: link.dropped_attributes_count,
    }
}

fn attributes(attributes: Vec<KeyValue>) -> Vec<Attribute> {
    attributes
        .into_iter()
        .map(|attribute| Attribute::new(attribute.key, value(attribute.value)))
        .collect()
}

fn value(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(Any::StringValue(value)) => Value::String(value),
        Some(Any::BoolValue(value)) => Value::Bool(value),
        Some(Any::IntValue(value)) => Value::Int(value),
        Some(Any::DoubleValue(value)) => Value::Double(value.into()),
        Some(Any::BytesValue(value)) => Value::Bytes(STANDARD.encode(value)),
        Some(Any::ArrayValue(list)) => Value::Array(
            list.values
                .into_iter()
                .map(|item| self::value(Some(item)))
                .collect(),
        ),
        Some(Any::KvlistValue(map)) => Value::Map(attributes(map.values)),
        Some(Any::StringValueStrindex(_)) | None => Value::None,
    }
}
