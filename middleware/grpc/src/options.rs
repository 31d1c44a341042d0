use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use towline_http::DEFAULT_VALUE_LIMIT_BYTES;
use towline_propagation::Propagator;
use towline_span::truncate;

use crate::conventions::Conventions;
use crate::method::Methods;

/// What both sides let a user choose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) propagator: Propagator,
    pub(crate) conventions: Conventions,
    pub(crate) methods: Methods,
    pub(crate) request_metadata: Capture,
    pub(crate) response_metadata: Capture,
}

/// Metadata that is recorded because it was listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture(Vec<(HeaderName, Key)>);

// === impl Capture ===

impl Capture {
    pub(crate) fn of_requests(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self::new("rpc.request.metadata", names)
    }

    pub(crate) fn of_responses(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self::new("rpc.response.metadata", names)
    }

    fn new(prefix: &str, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut listed: Vec<(HeaderName, Key)> = Vec::new();
        for name in names {
            // An attribute that is set twice is exported twice.
            if listed.iter().all(|(known, _)| *known != name) {
                let key = Key::from(format!("{prefix}.{}", name.as_str()));
                listed.push((name, key));
            }
        }
        Self(listed)
    }

    /// Adds what is listed and there: an attribute for each name, with all its values.
    ///
    /// Where there is one already, as for a name in the trailers that was in the head before, its
    /// values go on.
    pub(crate) fn extend(&self, attributes: &mut Vec<KeyValue>, metadata: &HeaderMap) {
        for (name, key) in &self.0 {
            let mut values = metadata
                .get_all(name)
                .iter()
                .take(MAX_VALUES)
                .map(|value| captured(name, value.as_bytes()))
                .peekable();
            if values.peek().is_none() {
                continue;
            }
            let before = attributes.iter_mut().find(|before| before.key == *key);
            if let Some(before) = before {
                if let Value::Array(Array::String(before)) = &mut before.value {
                    before.extend(values);
                }
            } else {
                let values = Value::Array(Array::String(values.collect()));
                attributes.push(KeyValue::new(key.clone(), values));
            }
        }
    }
}

/// A value as it may be shown: a credential never is, listed or not.
fn captured(name: &HeaderName, value: &[u8]) -> StringValue {
    if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(name) {
        return StringValue::from("REDACTED");
    }
    let value = value.get(..DEFAULT_VALUE_LIMIT_BYTES).unwrap_or(value);
    let value = String::from_utf8_lossy(value);
    StringValue::from(truncate(&value, DEFAULT_VALUE_LIMIT_BYTES).to_owned())
}

/// How many values of one name are looked at, in the head and in the trailers each.
const MAX_VALUES: usize = 32;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn metadata(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn names(names: &[&'static str]) -> Vec<HeaderName> {
        names.iter().copied().map(HeaderName::from_static).collect()
    }

    fn shown(attributes: &[KeyValue]) -> Vec<(&str, String)> {
        attributes
            .iter()
            .map(|attribute| (attribute.key.as_str(), attribute.value.to_string()))
            .collect()
    }

    #[test]
    fn what_is_listed_is_captured_with_all_its_values_and_nothing_else() {
        let capture = Capture::of_requests(names(&["x-tenant", "x-absent", "x-tenant"]));
        let metadata = metadata(&[("x-tenant", "a"), ("x-other", "b"), ("x-tenant", "c")]);
        let mut attributes = Vec::new();
        capture.extend(&mut attributes, &metadata);
        assert_eq!(
            shown(&attributes),
            [("rpc.request.metadata.x-tenant", r#"["a","c"]"#.to_owned())]
        );
    }

    #[test]
    fn a_flood_of_values_is_cut() {
        let capture = Capture::of_requests(names(&["x-flood"]));
        let flood = metadata(&[("x-flood", "drop"); 1000]);
        let mut attributes = Vec::new();
        capture.extend(&mut attributes, &flood);
        assert_eq!(shown(&attributes)[0].1.matches("drop").count(), MAX_VALUES);
    }

    #[test]
    fn trailers_go_on_where_the_head_left_off() {
        let capture = Capture::of_responses(names(&["x-cost", "x-late"]));
        let mut attributes = vec![KeyValue::new("rpc.method", "a.B/C")];
        capture.extend(&mut attributes, &metadata(&[("x-cost", "1")]));
        capture.extend(
            &mut attributes,
            &metadata(&[("x-late", "yes"), ("x-cost", "2")]),
        );
        assert_eq!(
            shown(&attributes)[1..],
            [
                ("rpc.response.metadata.x-cost", r#"["1","2"]"#.to_owned()),
                ("rpc.response.metadata.x-late", r#"["yes"]"#.to_owned()),
            ]
        );
    }

    #[test]
    fn credentials_are_masked_and_long_or_odd_values_cut() {
        let capture = Capture::of_requests(names(&["authorization", "cookie", "x-long", "x-odd"]));
        let long = "é".repeat(DEFAULT_VALUE_LIMIT_BYTES);
        let mut metadata = metadata(&[("authorization", "Bearer secret"), ("cookie", "secret")]);
        metadata.insert("x-long", HeaderValue::from_bytes(long.as_bytes()).unwrap());
        metadata.insert("x-odd", HeaderValue::from_bytes(b"\xff").unwrap());
        let mut attributes = Vec::new();
        capture.extend(&mut attributes, &metadata);
        let shown = shown(&attributes);
        assert!(!format!("{shown:?}").contains("secret"));
        assert_eq!(shown[0].1, r#"["REDACTED"]"#);
        assert_eq!(
            shown[2].1.len(),
            DEFAULT_VALUE_LIMIT_BYTES + r#"[""]"#.len()
        );
        assert_eq!(shown[3].1, "[\"\u{fffd}\"]");
    }
}
