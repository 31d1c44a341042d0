//! Why a `tracestate` was refused.

use std::{error::Error, fmt};

/// Header lines that do not make a legal `tracestate`.
///
/// It says [what is wrong](Self::kind) and carries nothing of the value, so it is safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseTraceStateError {
    kind: ParseTraceStateErrorKind,
}

/// The first thing found wrong with a `tracestate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseTraceStateErrorKind {
    /// More than 32 KiB in all header lines together.
    TooLong,
    /// More than [`MAX_MEMBERS`](super::MAX_MEMBERS) members that are not empty.
    TooManyMembers,
    /// A member has no `=`.
    NoValue,
    /// A key does not follow the grammar, or is longer than 256 bytes.
    Key,
    /// A value does not follow the grammar, is empty or is longer than 256 bytes.
    Value,
}

// === impl ParseTraceStateError ===

impl ParseTraceStateError {
    /// What is wrong with the list.
    #[must_use]
    pub const fn kind(&self) -> ParseTraceStateErrorKind {
        self.kind
    }
}

impl From<ParseTraceStateErrorKind> for ParseTraceStateError {
    fn from(kind: ParseTraceStateErrorKind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for ParseTraceStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ParseTraceStateErrorKind::TooLong => "tracestate too long to be read",
            ParseTraceStateErrorKind::TooManyMembers => "tracestate with more than 32 members",
            ParseTraceStateErrorKind::NoValue => "tracestate member without a value",
            ParseTraceStateErrorKind::Key => "tracestate member with an illegal key",
            ParseTraceStateErrorKind::Value => "tracestate member with an illegal value",
        })
    }
}

impl Error for ParseTraceStateError {}
