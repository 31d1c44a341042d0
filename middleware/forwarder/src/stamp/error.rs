use std::error::Error;
use std::fmt;

use towline_otlp::wire::Malformed;

use super::schema::Message;

/// The request cannot be stamped.
///
/// It is the same for every attempt: nothing about it gets better with time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampError {
    kind: StampErrorKind,
    cause: Cause,
}

/// Why a request cannot be stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StampErrorKind {
    /// It is not an OTLP trace request, or not one that every decoder reads alike.
    Malformed,
    /// It has more spans than [`Stamp::max_spans`](super::Stamp::max_spans).
    TooManySpans,
    /// It is longer than [`Stamp::max_bytes`](super::Stamp::max_bytes), or would be with the stamp.
    TooLarge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    Malformed {
        message: Message,
        /// Where in the request the broken field starts, in bytes.
        at: usize,
        source: Malformed,
    },
    /// The limit that is passed.
    Limit(usize),
}

// === impl StampError ===

impl StampError {
    #[cold]
    pub(super) const fn malformed(message: Message, at: usize, source: Malformed) -> Self {
        Self {
            kind: StampErrorKind::Malformed,
            cause: Cause::Malformed {
                message,
                at,
                source,
            },
        }
    }

    #[cold]
    pub(super) const fn too_many_spans(limit: usize) -> Self {
        Self {
            kind: StampErrorKind::TooManySpans,
            cause: Cause::Limit(limit),
        }
    }

    #[cold]
    pub(super) const fn too_large(limit: usize) -> Self {
        Self {
            kind: StampErrorKind::TooLarge,
            cause: Cause::Limit(limit),
        }
    }

    /// Why the request cannot be stamped.
    #[must_use]
    pub const fn kind(&self) -> StampErrorKind {
        self.kind
    }
}

impl fmt::Display for StampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.cause) {
            (_, Cause::Malformed { message, at, .. }) => write!(
                f,
                "not an OTLP trace request: its {} cannot be read at byte {at}",
                message.name()
            ),
            (StampErrorKind::TooManySpans, Cause::Limit(limit)) => {
                write!(f, "the request has more than {limit} spans")
            }
            (_, Cause::Limit(limit)) => {
                write!(f, "the stamped request is larger than {limit} bytes")
            }
        }
    }
}

impl Error for StampError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Malformed { source, .. } => Some(source),
            Cause::Limit(_) => None,
        }
    }
}
