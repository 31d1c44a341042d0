//! Why a `traceparent` was refused.

use std::{error::Error, fmt};

/// A value that is not a legal `traceparent`.
///
/// It says [what is wrong](Self::kind) and carries nothing of the value, so it is safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseTraceParentError {
    kind: ParseTraceParentErrorKind,
}

/// The first thing found wrong with a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseTraceParentErrorKind {
    /// Shorter than 55 bytes, or version `00` and longer.
    Length,
    /// The version is not two lower-case hexadecimal digits, or it is `ff`.
    Version,
    /// Two fields are not separated by `-`.
    Separator,
    /// The `trace-id` is not 32 lower-case hexadecimal digits, or all of them are zero.
    TraceId,
    /// The `parent-id` is not 16 lower-case hexadecimal digits, or all of them are zero.
    ParentId,
    /// The `trace-flags` are not two lower-case hexadecimal digits.
    Flags,
}

// === impl ParseTraceParentError ===

impl ParseTraceParentError {
    pub(super) const fn new(kind: ParseTraceParentErrorKind) -> Self {
        Self { kind }
    }

    /// What is wrong with the value.
    #[must_use]
    pub const fn kind(&self) -> ParseTraceParentErrorKind {
        self.kind
    }
}

impl fmt::Display for ParseTraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ParseTraceParentErrorKind::Length => "traceparent of the wrong length",
            ParseTraceParentErrorKind::Version => "traceparent with an illegal version",
            ParseTraceParentErrorKind::Separator => {
                "traceparent whose fields are not separated by `-`"
            }
            ParseTraceParentErrorKind::TraceId => "traceparent with an illegal trace-id",
            ParseTraceParentErrorKind::ParentId => "traceparent with an illegal parent-id",
            ParseTraceParentErrorKind::Flags => "traceparent with illegal trace-flags",
        })
    }
}

impl Error for ParseTraceParentError {}
