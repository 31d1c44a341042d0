//! A span in the form that is compared: whatever a peer's own form is, it is brought into this one.
//!
//! Each span carries its resource and its scope, so that it does not matter how a peer groups them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A span with everything that OTLP says about it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// In lower-case hex, as all ids here.
    pub trace_id: String,
    /// In hex.
    pub span_id: String,
    /// In hex; empty for a root.
    pub parent_span_id: String,
    /// As in a header.
    pub trace_state: String,
    /// The W3C flags, and in bits 8 and 9 whether the parent is remote.
    pub flags: u32,
    /// The name.
    pub name: String,
    /// The number that OTLP gives to the kind.
    pub kind: i32,
    /// In nanoseconds since 1970.
    pub start_time: u64,
    /// In nanoseconds since 1970.
    pub end_time: u64,
    /// In the order in which they were sent.
    pub attributes: Vec<Attribute>,
    /// How many more there were.
    pub dropped_attributes: u32,
    /// In the order in which they were sent.
    pub events: Vec<Event>,
    /// How many more there were.
    pub dropped_events: u32,
    /// In the order in which they were sent.
    pub links: Vec<Link>,
    /// How many more there were.
    pub dropped_links: u32,
    /// The number that OTLP gives to the status.
    pub status_code: i32,
    /// The description of an error.
    pub status_message: String,
    /// What produced the span.
    pub resource: Resource,
    /// The instrumentation that recorded it.
    pub scope: Scope,
}

/// A resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Sorted by their keys, since the SDK keeps no order here.
    pub attributes: Vec<Attribute>,
    /// How many more there were.
    pub dropped_attributes: u32,
    /// Of the resource, not of its scopes.
    pub schema_url: String,
}

/// An instrumentation scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// In the order in which they were sent.
    pub attributes: Vec<Attribute>,
    /// How many more there were.
    pub dropped_attributes: u32,
    /// Of the scope's spans.
    pub schema_url: String,
}

/// An event of a span.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// In nanoseconds since 1970.
    pub time: u64,
    /// The name.
    pub name: String,
    /// In the order in which they were sent.
    pub attributes: Vec<Attribute>,
    /// How many more there were.
    pub dropped_attributes: u32,
}

/// A link of a span.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// In hex.
    pub trace_id: String,
    /// In hex.
    pub span_id: String,
    /// As in a header.
    pub trace_state: String,
    /// The W3C flags, and in bits 8 and 9 whether the linked span is remote.
    pub flags: u32,
    /// In the order in which they were sent.
    pub attributes: Vec<Attribute>,
    /// How many more there were.
    pub dropped_attributes: u32,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// None at all, which is not the same as an empty one.
    None,
    /// A text.
    String(String),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number: see [`Double`].
    Double(Double),
    /// Bytes, in base64.
    Bytes(String),
    /// A list.
    Array(Vec<Self>),
    /// A map.
    Map(Vec<Attribute>),
}

/// A floating-point number by its bits in hex, so that -0.0 is not 0.0, and every NaN is `NaN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Double(String);

// === impl Double ===

impl From<f64> for Double {
    fn from(value: f64) -> Self {
        Self(if value.is_nan() {
            "NaN".to_owned()
        } else {
            format!("{:016x}", value.to_bits())
        })
    }
}

// === impl Attribute ===

impl Attribute {
    /// An attribute.
    #[must_use]
    pub fn new(key: impl Into<String>, value: Value) -> Self {
        Self {
            key: key.into(),
            value,
        }
    }
}

/// Sorts attributes by their keys.
pub fn sort(attributes: &mut [Attribute]) {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
}

/// The number that OTLP gives to a kind or a status of this name.
///
/// # Panics
///
/// When there is none of this name.
#[must_use]
#[track_caller]
pub fn number(names: &[&str], name: &str) -> i32 {
    (0..)
        .zip(names)
        .find_map(|(number, other)| (*other == name).then_some(number))
        .unwrap_or_else(|| panic!("{name} is none of {names:?}"))
}

/// The names of the kinds of spans, by their numbers.
pub const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

/// The names of the statuses, by their numbers.
pub const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// The bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// Asserts that a peer has got what was recorded, each span once, in any order.
///
/// # Panics
///
/// When it has not, with a line for every field that differs.
#[track_caller]
pub fn assert_same(peer: &str, received: &[Span], recorded: &[Span]) {
    assert!(!recorded.is_empty(), "nothing was recorded");
    let differences = differences(received, recorded);
    assert!(
        differences.is_empty(),
        "{peer} has other spans than were recorded:\n{}",
        differences.join("\n")
    );
}

fn differences(received: &[Span], recorded: &[Span]) -> Vec<String> {
    let mut differences = Vec::new();
    let (received, recorded) = (
        by_id(received, "received", &mut differences),
        by_id(recorded, "recorded", &mut differences),
    );
    for id in received.keys().filter(|id| !recorded.contains_key(*id)) {
        differences.push(format!("{id}: received, but never recorded"));
    }
    for (id, recorded) in &recorded {
        match received.get(id) {
            Some(received) => compare(id, received, recorded, &mut differences),
            None => differences.push(format!("{id}: not received")),
        }
    }
    differences
}

fn by_id(spans: &[Span], which: &str, differences: &mut Vec<String>) -> BTreeMap<String, Json> {
    let mut by_id = BTreeMap::new();
    for span in spans {
        let id = format!("span {}", span.span_id);
        let json = serde_json::to_value(span).expect("a span is plain data");
        if by_id.insert(id.clone(), json).is_some() {
            differences.push(format!("{id}: {which} more than once"));
        }
    }
    by_id
}

/// A line for each leaf that differs.
fn compare(path: &str, received: &Json, recorded: &Json, differences: &mut Vec<String>) {
    match (received, recorded) {
        (Json::Object(left), Json::Object(right)) if left.keys().eq(right.keys()) => {
            for (key, recorded) in right {
                compare(&format!("{path}.{key}"), &left[key], recorded, differences);
            }
        }
        (Json::Array(left), Json::Array(right)) if left.len() == right.len() => {
            for (index, (received, recorded)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), received, recorded, differences);
            }
        }
        _ if received == recorded => {}
        _ => differences.push(format!(
            "{path}: received {}, recorded {}",
            short(received),
            short(recorded)
        )),
    }
}

fn short(value: &Json) -> String {
    let text = value.to_string();
    let len = text.len();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({len} bytes)", &text[..end]),
        None => text,
    }
}

/// How much of a value a difference shows.
const SHOWN_CHARS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hard, recorded};

    /// Asserts that a change of what is received makes one difference, which says so.
    #[track_caller]
    fn assert_seen(expected: &str, change: impl FnOnce(&mut Vec<Span>)) {
        let recorded = recorded::spans(&hard::spans(), &hard::resource());
        let mut received = recorded.clone();
        change(&mut received);
        let seen = differences(&received, &recorded);
        assert!(seen.len() == 1 && seen[0].contains(expected), "{seen:?}");
    }

    #[test]
    fn the_same_spans_in_another_order_are_the_same() {
        let recorded = recorded::spans(&hard::spans(), &hard::resource());
        let received: Vec<_> = recorded.iter().rev().cloned().collect();
        assert_same("nobody", &received, &recorded);
    }

    #[test]
    fn one_field_that_differs_is_seen_and_named() {
        assert_seen(".name: ", |spans| spans[0].name.push('x'));
        assert_seen(".flags: ", |spans| spans[0].flags ^= 0x200);
        assert_seen(".resource.schema_url: ", |spans| {
            spans[0].resource.schema_url.clear();
        });
        assert_seen("not received", |spans| {
            spans.pop();
        });
        assert_seen("more than once", |spans| spans.push(spans[0].clone()));
        assert_seen(".links[0].trace_state: ", |spans| {
            let span = spans.iter_mut().find(|span| !span.links.is_empty());
            span.expect("one with links").links[0].trace_state.push('x');
        });
        assert_seen("recorded \"8000000000000000\"", |spans| {
            let values = spans.iter_mut().flat_map(|span| &mut span.attributes);
            let minus_zero = Value::Double((-0.0).into());
            let mut attributes = values.filter(|attribute| attribute.value == minus_zero);
            attributes.next().expect("one with -0.0").value = Value::Double(0.0.into());
        });
    }
}
