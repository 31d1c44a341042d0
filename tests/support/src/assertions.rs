use std::collections::HashSet;

use opentelemetry::Value;
use opentelemetry::trace::{SpanContext, SpanId, Status};
use opentelemetry_sdk::trace::SpanData;
use towline_span::{OUTCOME, Outcome};

/// The value of the attribute with this key.
///
/// # Panics
///
/// If the span has two of that key.
#[must_use]
#[track_caller]
pub fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let mut values = span
        .attributes
        .iter()
        .filter(|attribute| attribute.key.as_str() == key)
        .map(|attribute| &attribute.value);
    let first = values.next().cloned();
    assert_eq!(values.next(), None, "span {:?} has {key} twice", span.name);
    first
}

/// The text of the attribute with this key.
///
/// # Panics
///
/// If the span has two of that key, or if its value is not a string.
#[must_use]
#[track_caller]
pub fn text_attribute(span: &SpanData, key: &str) -> Option<String> {
    attribute(span, key).map(|value| match value {
        Value::String(text) => text.to_string(),
        other => panic!("{key} is not a string: {other:?}"),
    })
}

/// The description of the error status; `None` if the status is no error.
#[must_use]
pub fn error_description(span: &SpanData) -> Option<&str> {
    match &span.status {
        Status::Error { description } => Some(description),
        _ => None,
    }
}

/// That no two attributes of the span have the same key: the SDK does not see to it.
///
/// # Panics
///
/// If two have.
#[track_caller]
pub fn assert_no_duplicate_attributes(span: &SpanData) {
    let mut keys = HashSet::new();
    for attribute in &span.attributes {
        assert!(
            keys.insert(attribute.key.as_str()),
            "span {:?} has {} twice",
            span.name,
            attribute.key
        );
    }
}

/// That the span came to its end like this.
///
/// # Panics
///
/// If the attribute `towline.outcome` says something else; plain completion is its absence.
#[track_caller]
pub fn assert_outcome(span: &SpanData, expected: Outcome) {
    let expected = (expected != Outcome::Completed).then(|| expected.as_str().to_owned());
    assert_eq!(
        text_attribute(span, OUTCOME),
        expected,
        "outcome of span {:?}",
        span.name
    );
}

/// That the span is a child of `parent` and in its trace.
///
/// # Panics
///
/// If it is not.
#[track_caller]
pub fn assert_child_of(span: &SpanData, parent: &SpanContext) {
    assert_eq!(
        (span.span_context.trace_id(), span.parent_span_id),
        (parent.trace_id(), parent.span_id()),
        "trace id and parent of span {:?}",
        span.name
    );
}

/// That the span has no parent.
///
/// # Panics
///
/// If it has one.
#[track_caller]
pub fn assert_root(span: &SpanData) {
    assert_eq!(
        span.parent_span_id,
        SpanId::INVALID,
        "parent of span {:?}",
        span.name
    );
}
