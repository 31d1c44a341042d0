use std::fmt;

use http::{HeaderName, HeaderValue};

use super::Entry;
use crate::StartErrorKind;
use crate::config::node::Value;
use crate::config::problem::{Problem, Problems};
use crate::config::said::Said;

/// Headers for the collector. Their values are secrets: they are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(HeaderName, HeaderValue)>);

/// A mapping of names to texts. No error shows a value.
pub(crate) fn headers(entry: Entry, problems: &mut Problems) -> Option<Said<Headers>> {
    let Value::Map(pairs) = entry.node.value else {
        let expected = "a mapping of header names to texts, such as { x-team: users }";
        let rest = format!(" is no mapping: expected {expected}");
        problems.push(Problem::of(StartErrorKind::Config, &entry.origin, rest));
        return None;
    };
    let (mut headers, mut is_whole) = (Vec::new(), true);
    for (key, node) in pairs {
        let name = key.as_text().unwrap_or_default();
        let parsed = name.parse::<HeaderName>();
        let value = node
            .as_text()
            .and_then(|text| text.parse::<HeaderValue>().ok());
        let (part, position, rest) = match (parsed, value) {
            (Ok(name), Some(value)) => {
                headers.push((name, value));
                continue;
            }
            (Ok(_), None) => (
                format!(".{name}"),
                node.position,
                " has a value that no header can hold: expected a text, in quotes if it looks like something else, \
                 on one line"
                    .to_owned(),
            ),
            (Err(_), _) => (
                String::new(),
                key.position,
                format!(
                    " has the name {}, which no header can have: expected letters, digits and -",
                    key.value
                ),
            ),
        };
        let origin = entry.origin.part(&part, position);
        problems.push(Problem::of(StartErrorKind::Config, &origin, rest));
        is_whole = false;
    }
    is_whole.then(|| Said::new(Headers(headers), entry.origin))
}

// === impl Headers ===

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        f.debug_set().entries(names).finish()
    }
}
