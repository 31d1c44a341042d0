//! The messages of an OTLP trace request, as far as a walk over them needs to know.
//!
//! From [opentelemetry-proto 1.10.0]. What a field must look like is checked for every field that is
//! listed here, since decoders refuse the whole request otherwise; other fields are of other versions
//! and stay as they are.
//!
//! [opentelemetry-proto 1.10.0]: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.10.0/opentelemetry/proto

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    ResourceSpans,
    Resource,
    EntityRef,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
}

/// What a field carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Varint,
    Fixed32,
    Fixed64,
    Bytes,
    /// 16 bytes, or none.
    TraceId,
    /// 8 bytes, or none.
    SpanId,
    /// UTF-8.
    Text,
    /// A `KeyValue`.
    Attribute,
    Message(Message),
}

/// `resource` of a `ResourceSpans`.
pub(super) const RESOURCE: u32 = 1;
/// `scope_spans` of a `ResourceSpans`.
pub(super) const SCOPE_SPANS: u32 = 2;
/// What became `scope_spans` before it was removed: see the module [`stamp`](super).
pub(super) const LIBRARY_SPANS: u32 = 1000;
/// `attributes` of a `Resource`.
pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
/// `attributes` of a `Span`.
pub(super) const SPAN_ATTRIBUTES: u32 = 9;
/// `key` of a `KeyValue`.
pub(super) const KEY: u32 = 1;
/// `value` of a `KeyValue`, and `string_value` of that.
pub(super) const VALUE: u32 = 2;
pub(super) const STRING_VALUE: u32 = 1;

// === impl Message ===

impl Message {
    /// What the field `number` carries, if this version of OTLP knows it.
    #[inline]
    pub(super) const fn form(self, number: u32) -> Option<Form> {
        Some(match (self, number) {
            (Self::Request, 1) => Form::Message(Self::ResourceSpans),

            (Self::ResourceSpans, RESOURCE) => Form::Message(Self::Resource),
            (Self::ResourceSpans, SCOPE_SPANS | LIBRARY_SPANS) => Form::Message(Self::ScopeSpans),
            (Self::ResourceSpans, 3) => Form::Text,

            (Self::Resource, RESOURCE_ATTRIBUTES) => Form::Attribute,
            (Self::Resource, 2) => Form::Varint,
            (Self::Resource, 3) => Form::Message(Self::EntityRef),

            (Self::EntityRef, 1..=4) => Form::Text,

            (Self::ScopeSpans, 1) => Form::Message(Self::Scope),
            (Self::ScopeSpans, 2) => Form::Message(Self::Span),
            (Self::ScopeSpans, 3) => Form::Text,

            (Self::Scope, 1 | 2) => Form::Text,
            (Self::Scope, 3) => Form::Attribute,
            (Self::Scope, 4) => Form::Varint,

            (Self::Span, 1) => Form::TraceId,
            (Self::Span, 2 | 4) => Form::SpanId,
            (Self::Span, 3 | 5) => Form::Text,
            (Self::Span, 6 | 10 | 12 | 14) => Form::Varint,
            (Self::Span, 7 | 8) => Form::Fixed64,
            (Self::Span, SPAN_ATTRIBUTES) => Form::Attribute,
            (Self::Span, 11) => Form::Message(Self::Event),
            (Self::Span, 13) => Form::Message(Self::Link),
            (Self::Span, 15) => Form::Message(Self::Status),
            (Self::Span, 16) => Form::Fixed32,

            (Self::Event, 1) => Form::Fixed64,
            (Self::Event, 2) => Form::Text,
            (Self::Event, 3) => Form::Attribute,
            (Self::Event, 4) => Form::Varint,

            (Self::Link, 1) => Form::TraceId,
            (Self::Link, 2) => Form::SpanId,
            (Self::Link, 3) => Form::Text,
            (Self::Link, 4) => Form::Attribute,
            (Self::Link, 5) => Form::Varint,
            (Self::Link, 6) => Form::Fixed32,

            (Self::Status, 2) => Form::Text,
            (Self::Status, 3) => Form::Varint,

            (Self::KeyValue, KEY) => Form::Text,
            (Self::KeyValue, VALUE) => Form::Message(Self::AnyValue),
            (Self::KeyValue, 3) => Form::Varint,

            (Self::AnyValue, STRING_VALUE) => Form::Text,
            (Self::AnyValue, 2 | 3 | 8) => Form::Varint,
            (Self::AnyValue, 4) => Form::Fixed64,
            (Self::AnyValue, 5) => Form::Message(Self::ArrayValue),
            (Self::AnyValue, 6) => Form::Message(Self::KeyValueList),
            (Self::AnyValue, 7) => Form::Bytes,

            (Self::ArrayValue, 1) => Form::Message(Self::AnyValue),
            (Self::KeyValueList, 1) => Form::Attribute,

            _ => return None,
        })
    }

    /// The field that holds its attributes, if it has any.
    #[inline]
    pub(super) const fn attributes(self) -> Option<u32> {
        Some(match self {
            Self::Resource | Self::KeyValueList => 1,
            Self::Scope | Self::Event => 3,
            Self::Link => 4,
            Self::Span => SPAN_ATTRIBUTES,
            _ => return None,
        })
    }

    /// Its name, for an error.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::ResourceSpans => "resource_spans",
            Self::Resource => "resource",
            Self::EntityRef => "entity_refs",
            Self::ScopeSpans => "scope_spans",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::Event => "event",
            Self::Link => "link",
            Self::Status => "status",
            Self::KeyValue => "attribute",
            Self::AnyValue => "value",
            Self::ArrayValue => "array",
            Self::KeyValueList => "key-value list",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_where_the_forms_say() {
        for message in [
            Message::Request,
            Message::ResourceSpans,
            Message::Resource,
            Message::EntityRef,
            Message::ScopeSpans,
            Message::Scope,
            Message::Span,
            Message::Event,
            Message::Link,
            Message::Status,
            Message::KeyValue,
            Message::AnyValue,
            Message::ArrayValue,
            Message::KeyValueList,
        ] {
            let found = (1..2000).find(|n| message.form(*n) == Some(Form::Attribute));
            assert_eq!(message.attributes(), found, "{message:?}");
        }
    }
}
