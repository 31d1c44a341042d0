//! A header map as a carrier, for propagators that are not ours.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// Reads from a header map.
///
/// Other than the carrier of `opentelemetry-http` it does not hide lines that are no text: a second
/// `traceparent` makes the first one void, whatever it consists of.
pub(crate) struct Incoming<'a>(pub(crate) &'a HeaderMap);

/// Writes to a header map. Other than the carrier of `opentelemetry-http` it does not panic when the map
/// is full.
pub(crate) struct Outgoing<'a>(pub(crate) &'a mut HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|line| line.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines = self.0.get_all(key).iter();
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or(NO_TEXT)).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            drop(self.0.try_insert(name, value));
        }
    }
}

/// What stands for a line that is no text: illegal in every format, and harmless to the parser of any.
pub(crate) const NO_TEXT: &str = "?";
