use std::any::type_name;
use std::borrow::Cow;
use std::fmt;

use opentelemetry::KeyValue;

use crate::redact::{self, QueryKeys};

/// How the work inside a span came to its end.
///
/// Everything but [`Completed`](Self::Completed) is recorded as the attribute [`OUTCOME`], so that
/// a request that was dropped half-way can be told from one that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It ran to its end. The answer may still be one that says "error".
    Completed,
    /// The service, or the body, returned an error.
    Failed,
    /// It was dropped before there was a response.
    CancelledBeforeResponse,
    /// It was dropped after the response had begun and before its last byte.
    CancelledDuringBody,
    /// It panicked.
    Panicked,
}

/// What went wrong, as a span says it: `error.type` and the description of the error status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    error_type: Cow<'static, str>,
    description: Cow<'static, str>,
}

/// The attribute under which every [`Outcome`] but plain completion is recorded:
/// `towline.outcome`.
pub const OUTCOME: &str = "towline.outcome";

/// The attribute that names the kind of an error, of low cardinality: `error.type`.
///
/// See [the attribute's page](https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/registry/attributes/error.md).
pub const ERROR_TYPE: &str = "error.type";

/// How many bytes of an error's text are kept as a status description: 1,024.
pub const MAX_DESCRIPTION_BYTES: usize = 1024;

// === impl Outcome ===

impl Outcome {
    /// The value of the [`OUTCOME`] attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::CancelledBeforeResponse => "cancelled_before_response",
            Self::CancelledDuringBody => "cancelled_during_body",
            Self::Panicked => "panicked",
        }
    }

    /// The attribute for this outcome; none for plain completion.
    pub(crate) fn attribute(self) -> Option<KeyValue> {
        (self != Self::Completed).then(|| KeyValue::new(OUTCOME, self.as_str()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Failure ===

impl Failure {
    /// A failure of this type and nothing more to say.
    ///
    /// `error_type` must be of low cardinality: a status code, the name of a type, never a message.
    pub fn new(error_type: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error_type: error_type.into(),
            description: Cow::Borrowed(""),
        }
    }

    /// A failure from an error value: the type by [`Failure::of_type`], the description from the
    /// error's text, cut at [`MAX_DESCRIPTION_BYTES`].
    ///
    /// What is secret in the URLs of the text is [redacted](redact::text).
    pub fn from_error<E: fmt::Display + ?Sized>(error: &E) -> Self {
        Self::from_error_without(error, &QueryKeys::new())
    }

    /// [`from_error`](Self::from_error) with other secret query keys.
    pub fn from_error_without<E: fmt::Display + ?Sized>(error: &E, keys: &QueryKeys) -> Self {
        let text = redact::bounded_display(error, keys, MAX_DESCRIPTION_BYTES);
        Self::of_type::<E>().with_description(text)
    }

    /// A failure named after a Rust type.
    ///
    /// A boxed `dyn Error` has no type to name: it becomes `_OTHER`, the fallback of the semantic
    /// conventions.
    #[must_use]
    pub fn of_type<E: ?Sized>() -> Self {
        let name = type_name::<E>();
        Self::new(if name.contains("dyn ") {
            "_OTHER"
        } else {
            name
        })
    }

    /// Adds the text that goes into the span's status.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = description.into();
        self
    }

    /// The value of `error.type`.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    /// The description of the error status; may be empty.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    pub(crate) fn into_parts(self) -> (Cow<'static, str>, Cow<'static, str>) {
        (self.error_type, self.description)
    }

    pub(crate) const PANIC: Self = Self {
        error_type: Cow::Borrowed("panic"),
        description: Cow::Borrowed(""),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_type_and_keeps_the_text() {
        let error = "x".parse::<u8>().unwrap_err();
        let failure = Failure::from_error(&error);
        assert_eq!(failure.error_type(), "core::num::error::ParseIntError");
        assert_eq!(failure.description(), "invalid digit found in string");
    }

    #[test]
    fn a_boxed_error_is_of_no_known_type() {
        let error: Box<dyn std::error::Error + Send + Sync> = "late".into();
        let failure = Failure::from_error(&error);
        assert_eq!(failure.error_type(), "_OTHER");
        assert_eq!(failure.description(), "late");
    }

    #[test]
    fn urls_in_the_text_are_without_their_secrets() {
        let text = "no route to http://me:pass@db.example/?sig=abc&token=def";
        let failure = Failure::from_error(text);
        let clean = "no route to http://REDACTED:REDACTED@db.example/?sig=REDACTED&token=def";
        assert_eq!(failure.description(), clean);
        let failure = Failure::from_error_without(text, &QueryKeys::only(["token"]));
        let clean = "no route to http://REDACTED:REDACTED@db.example/?sig=abc&token=REDACTED";
        assert_eq!(failure.description(), clean);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let failure = Failure::from_error(&"é".repeat(1_000_000));
        assert_eq!(failure.description().len(), MAX_DESCRIPTION_BYTES);
        let odd = Failure::from_error(&format!("x{}", "é".repeat(600)));
        assert_eq!(odd.description().len(), MAX_DESCRIPTION_BYTES - 1);
    }
}
