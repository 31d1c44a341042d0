//! OTLP's JSON, to the letter, and Teleport's dialect, which is the plain protobuf mapping.
//!
//! | | OTLP | Teleport |
//! |---|---|---|
//! | ids | hex | base64 |
//! | enums | integers | names; a number without a name stays one |
//! | an empty `key`, or `values` without any | written | left out |
//!
//! Both write 64-bit integers as strings, doubles that JSON has no number for as strings, and leave
//! other fields with their default out.
//!
//! The serialization that comes with `opentelemetry-proto` writes such doubles as `null`, and so
//! loses them.
//!
//! Section: [JSON Protobuf
//! encoding](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#json-protobuf-encoding),
//! on top of [ProtoJSON](https://protobuf.dev/programming-guides/json/).

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Which mapping from protobuf to JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Otlp,
    Teleport,
}

/// Appends a request, in OTLP's JSON.
pub(super) fn write_request(
    out: &mut Vec<u8>,
    request: &ExportTraceServiceRequest,
) -> serde_json::Result<()> {
    serde_json::to_writer(out, &Json::new(request, Dialect::Otlp))
}

/// Appends the spans of one resource, in Teleport's dialect.
pub(super) fn write_resource_spans(
    out: &mut Vec<u8>,
    spans: &ResourceSpans,
) -> serde_json::Result<()> {
    serde_json::to_writer(out, &Json::new(spans, Dialect::Teleport))
}

/// A message in a dialect.
struct Json<'a, T> {
    message: &'a T,
    dialect: Dialect,
}

/// The fields of a message. Those with their default are left out.
struct Object<S: SerializeMap> {
    map: S,
    dialect: Dialect,
}

impl<'a, T> Json<'a, T> {
    const fn new(message: &'a T, dialect: Dialect) -> Self {
        Self { message, dialect }
    }
}

impl<S: SerializeMap> Object<S> {
    fn text(&mut self, key: &'static str, value: &str) -> Result<(), S::Error> {
        self.some(key, Some(value).filter(|value| !value.is_empty()))
    }

    fn texts(&mut self, key: &'static str, values: &[String]) -> Result<(), S::Error> {
        self.some(key, Some(values).filter(|values| !values.is_empty()))
    }

    fn id(&mut self, key: &'static str, value: &[u8]) -> Result<(), S::Error> {
        if value.is_empty() {
            return Ok(());
        }
        match self.dialect {
            Dialect::Otlp => self.some(key, Some(Display(Hex(value)))),
            Dialect::Teleport => {
                let base64 = Base64Display::new(value, &STANDARD);
                self.some(key, Some(Display(base64)))
            }
        }
    }

    fn time(&mut self, key: &'static str, value: u64) -> Result<(), S::Error> {
        self.some(key, Some(Display(value)).filter(|_| value != 0))
    }

    fn enumeration(
        &mut self,
        key: &'static str,
        value: i32,
        name: Option<&'static str>,
    ) -> Result<(), S::Error> {
        match name.filter(|_| self.dialect == Dialect::Teleport && value != 0) {
            Some(name) => self.some(key, Some(name)),
            None => self.number(key, value),
        }
    }

    fn number<T: Serialize + Default + PartialEq>(
        &mut self,
        key: &'static str,
        value: T,
    ) -> Result<(), S::Error> {
        self.some(key, Some(value).filter(|value| *value != T::default()))
    }

    fn message<'a, T>(&mut self, key: &'static str, value: Option<&'a T>) -> Result<(), S::Error>
    where
        Json<'a, T>: Serialize,
    {
        let dialect = self.dialect;
        self.some(key, value.map(|message| Json::new(message, dialect)))
    }

    fn messages<'a, T>(&mut self, key: &'static str, values: &'a [T]) -> Result<(), S::Error>
    where
        Json<'a, T>: Serialize,
    {
        if values.is_empty() {
            return Ok(());
        }
        self.list(key, values)
    }

    /// In OTLP even without any: not every reader knows what to make of none.
    fn all<'a, T>(&mut self, key: &'static str, values: &'a [T]) -> Result<(), S::Error>
    where
        Json<'a, T>: Serialize,
    {
        match self.dialect {
            Dialect::Otlp => self.list(key, values),
            Dialect::Teleport => self.messages(key, values),
        }
    }

    fn list<'a, T>(&mut self, key: &'static str, messages: &'a [T]) -> Result<(), S::Error>
    where
        Json<'a, T>: Serialize,
    {
        let dialect = self.dialect;
        self.some(key, Some(List { messages, dialect }))
    }

    fn some(&mut self, key: &'static str, value: Option<impl Serialize>) -> Result<(), S::Error> {
        match value {
            Some(value) => self.map.serialize_entry(key, &value),
            None => Ok(()),
        }
    }
}

/// Implements `Serialize` for a message by what it does with an object.
macro_rules! object {
    ($message:ty, |$value:ident, $object:ident| $fields:block) => {
        impl Serialize for Json<'_, $message> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self.message;
                let mut $object = Object {
                    map: serializer.serialize_map(None)?,
                    dialect: self.dialect,
                };
                $fields
                $object.map.end()
            }
        }
    };
}

object!(ExportTraceServiceRequest, |request, object| {
    // Even without any: a line without the key could be anything.
    object.list("resourceSpans", &request.resource_spans)?;
});

object!(ResourceSpans, |spans, object| {
    object.message("resource", spans.resource.as_ref())?;
    object.messages("scopeSpans", &spans.scope_spans)?;
    object.text("schemaUrl", &spans.schema_url)?;
});

object!(Resource, |resource, object| {
    object.messages("attributes", &resource.attributes)?;
    object.number("droppedAttributesCount", resource.dropped_attributes_count)?;
    object.messages("entityRefs", &resource.entity_refs)?;
});

object!(EntityRef, |entity, object| {
    object.text("schemaUrl", &entity.schema_url)?;
    object.text("type", &entity.r#type)?;
    object.texts("idKeys", &entity.id_keys)?;
    object.texts("descriptionKeys", &entity.description_keys)?;
});

object!(ScopeSpans, |spans, object| {
    object.message("scope", spans.scope.as_ref())?;
    object.messages("spans", &spans.spans)?;
    object.text("schemaUrl", &spans.schema_url)?;
});

object!(InstrumentationScope, |scope, object| {
    object.text("name", &scope.name)?;
    object.text("version", &scope.version)?;
    object.messages("attributes", &scope.attributes)?;
    object.number("droppedAttributesCount", scope.dropped_attributes_count)?;
});

object!(Span, |span, object| {
    object.id("traceId", &span.trace_id)?;
    object.id("spanId", &span.span_id)?;
    object.text("traceState", &span.trace_state)?;
    object.id("parentSpanId", &span.parent_span_id)?;
    object.number("flags", span.flags)?;
    object.text("name", &span.name)?;
    let kind = SpanKind::try_from(span.kind).ok();
    object.enumeration("kind", span.kind, kind.as_ref().map(SpanKind::as_str_name))?;
    object.time("startTimeUnixNano", span.start_time_unix_nano)?;
    object.time("endTimeUnixNano", span.end_time_unix_nano)?;
    object.messages("attributes", &span.attributes)?;
    object.number("droppedAttributesCount", span.dropped_attributes_count)?;
    object.messages("events", &span.events)?;
    object.number("droppedEventsCount", span.dropped_events_count)?;
    object.messages("links", &span.links)?;
    object.number("droppedLinksCount", span.dropped_links_count)?;
    object.message("status", span.status.as_ref())?;
});

object!(Event, |event, object| {
    object.time("timeUnixNano", event.time_unix_nano)?;
    object.text("name", &event.name)?;
    object.messages("attributes", &event.attributes)?;
    object.number("droppedAttributesCount", event.dropped_attributes_count)?;
});

object!(Link, |link, object| {
    object.id("traceId", &link.trace_id)?;
    object.id("spanId", &link.span_id)?;
    object.text("traceState", &link.trace_state)?;
    object.messages("attributes", &link.attributes)?;
    object.number("droppedAttributesCount", link.dropped_attributes_count)?;
    object.number("flags", link.flags)?;
});

object!(Status, |status, object| {
    object.text("message", &status.message)?;
    let code = StatusCode::try_from(status.code).ok();
    object.enumeration(
        "code",
        status.code,
        code.as_ref().map(StatusCode::as_str_name),
    )?;
});

object!(KeyValue, |attribute, object| {
    match object.dialect {
        // Even when empty, as with lists.
        Dialect::Otlp => object.some("key", Some(&attribute.key))?,
        Dialect::Teleport => object.text("key", &attribute.key)?,
    }
    object.message("value", attribute.value.as_ref())?;
});

object!(AnyValue, |value, object| {
    // Which one it is says the key, so a default is not left out.
    match &value.value {
        Some(Value::StringValue(value)) => object.some("stringValue", Some(value))?,
        Some(Value::BoolValue(value)) => object.some("boolValue", Some(value))?,
        Some(Value::IntValue(value)) => object.some("intValue", Some(Display(value)))?,
        Some(Value::DoubleValue(value)) if value.is_nan() => {
            object.some("doubleValue", Some("NaN"))?
        }
        Some(Value::DoubleValue(f64::INFINITY)) => object.some("doubleValue", Some("Infinity"))?,
        Some(Value::DoubleValue(f64::NEG_INFINITY)) => {
            object.some("doubleValue", Some("-Infinity"))?
        }
        Some(Value::DoubleValue(value)) => object.some("doubleValue", Some(value))?,
        Some(Value::ArrayValue(value)) => object.message("arrayValue", Some(value))?,
        Some(Value::KvlistValue(value)) => object.message("kvlistValue", Some(value))?,
        Some(Value::BytesValue(value)) => {
            object.some("bytesValue", Some(STANDARD.encode(value)))?
        }
        // Belongs to profiles: to other signals it is as good as absent.
        Some(Value::StringValueStrindex(_)) | None => {}
    }
});

object!(ArrayValue, |array, object| {
    object.all("values", &array.values)?;
});

object!(KeyValueList, |list, object| {
    object.all("values", &list.values)?;
});

/// Messages in a row.
struct List<'a, T> {
    messages: &'a [T],
    dialect: Dialect,
}

impl<'a, T> Serialize for List<'a, T>
where
    Json<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let messages = self.messages.iter();
        serializer.collect_seq(messages.map(|message| Json::new(message, self.dialect)))
    }
}

/// A value as the string that it displays as.
struct Display<T>(T);

impl<T: fmt::Display> Serialize for Display<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Bytes in lower-case hex.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
