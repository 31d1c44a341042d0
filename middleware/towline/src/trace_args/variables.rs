//! The trace context in environment variables, by [the specification][spec] of such carriers.
//!
//! [spec]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/context/env-carriers.md

use std::process::Command;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Environment;

/// What the variables for these fields say, as the headers that they would have been.
pub(super) fn read(environment: &Environment, fields: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        // One that is no text is as good as absent, as a malformed one is.
        let value = environment.get(&variable(field), &mut Vec::new());
        let value = value.and_then(|value| HeaderValue::try_from(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::try_from(field), value) {
            drop(headers.try_insert(name, value));
        }
    }
    headers
}

/// Gives a process what the headers say, and nothing else by the name of a field; if they say nothing at all, it gets
/// what it would get anyway.
pub(super) fn write(headers: &HeaderMap, fields: &[String], command: &mut Command) {
    if headers.is_empty() {
        return;
    }
    for field in fields {
        let value = headers.get(field).and_then(|value| value.to_str().ok());
        match value {
            Some(value) => command.env(variable(field), value),
            None => command.env_remove(variable(field)),
        };
    }
}

/// The variable for a field: upper case, with `_` in place of what is neither letter nor digit, and before a digit at
/// the beginning.
fn variable(field: &str) -> String {
    let prefix = field
        .starts_with(|first: char| first.is_ascii_digit())
        .then_some('_');
    let rest = field.chars().map(|char| match char.to_ascii_uppercase() {
        char @ ('A'..='Z' | '0'..='9') => char,
        _ => '_',
    });
    prefix.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_after_fields() {
        for (field, expected) in [
            ("traceparent", "TRACEPARENT"),
            ("x-b3-traceid", "X_B3_TRACEID"),
            ("uber_trace.id", "UBER_TRACE_ID"),
            ("3d", "_3D"),
        ] {
            assert_eq!(variable(field), expected);
        }
    }
}
