//! A span as a backend would get it, whoever made it.

use fastrace::collector::SpanRecord;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_sdk::trace::SpanData;

/// What was recorded of a request.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The name.
    pub name: String,
    /// The kind, in lower case.
    pub kind: &'static str,
    /// The trace.
    pub trace_id: u128,
    /// The span that it says it is a child of.
    pub parent_id: u64,
    /// Names of attributes and what they say.
    pub attributes: Vec<(String, String)>,
    /// How many events it has.
    pub events: usize,
    /// Whether it says that something went wrong.
    pub is_error: bool,
}

// === impl Recorded ===

impl Recorded {
    /// The names of the attributes, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .attributes
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// The attributes, sorted by name.
    pub fn sorted(&self) -> Vec<(String, String)> {
        let mut attributes = self.attributes.clone();
        attributes.sort();
        attributes
    }
}

impl From<&SpanData> for Recorded {
    fn from(span: &SpanData) -> Self {
        Self {
            name: span.name.to_string(),
            kind: match span.span_kind {
                SpanKind::Client => "client",
                SpanKind::Server => "server",
                _ => "internal",
            },
            trace_id: u128::from_be_bytes(span.span_context.trace_id().to_bytes()),
            parent_id: u64::from_be_bytes(span.parent_span_id.to_bytes()),
            attributes: span
                .attributes
                .iter()
                .map(|it| (it.key.to_string(), it.value.to_string()))
                .collect(),
            events: span.events.len(),
            is_error: matches!(span.status, Status::Error { .. }),
        }
    }
}

impl From<&SpanRecord> for Recorded {
    fn from(span: &SpanRecord) -> Self {
        Self {
            name: span.name.to_string(),
            kind: "internal",
            trace_id: span.trace_id.0,
            parent_id: span.parent_id.0,
            attributes: span
                .properties
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            events: span.events.len(),
            is_error: false,
        }
    }
}

impl From<&opentelemetry_proto::tonic::trace::v1::Span> for Recorded {
    fn from(span: &opentelemetry_proto::tonic::trace::v1::Span) -> Self {
        use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
        use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

        let id = |bytes: &[u8]| bytes.iter().fold(0, |id, byte| id << 8 | u128::from(*byte));
        Self {
            name: span.name.clone(),
            kind: match span.kind() {
                Kind::Client => "client",
                Kind::Server => "server",
                _ => "internal",
            },
            trace_id: id(&span.trace_id),
            parent_id: id(&span.parent_span_id) as u64,
            attributes: span
                .attributes
                .iter()
                .map(|it| (it.key.clone(), text(it.value.as_ref())))
                .collect(),
            events: span.events.len(),
            is_error: span
                .status
                .as_ref()
                .is_some_and(|it| it.code() == StatusCode::Error),
        }
    }
}

/// A value as the API would show it.
fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
