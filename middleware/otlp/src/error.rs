use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a batch was not delivered.
///
/// Every transport of this crate fails with it, and so does a transport of your own.
/// [`kind`](Self::kind) tells the cases apart, [`source`](Error::source) gives the cause,
/// [`is_retryable`](Self::is_retryable) says whether OTLP lets the same batch be sent again.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline_otlp::{ExportError, ExportErrorKind, PeerStatus};
///
/// let busy = ExportError::refused("collector:4318", PeerStatus::Http(503))
///     .with_retry_after(Duration::from_secs(3));
/// assert!(busy.is_retryable());
/// assert_eq!(busy.retry_after(), Some(Duration::from_secs(3)));
/// assert_eq!(busy.to_string(), "collector:4318 refused the batch with HTTP status 503");
///
/// let message = "collector:4318 takes no batch of 9 MiB";
/// let too_large = ExportError::new(ExportErrorKind::TooLarge, message);
/// assert!(!too_large.is_retryable());
/// ```
#[derive(Clone, Debug)]
pub struct ExportError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ExportErrorKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    delivered: Delivered,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What became of the spans of a batch whose other pieces failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) exported: usize,
    pub(crate) refused: usize,
    pub(crate) too_large: usize,
}

/// The cases of [`ExportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportErrorKind {
    /// No connection could be made, or it broke before an answer came. Retryable.
    Unreachable,
    /// A connection was there, and TLS failed over it: a certificate that is not trusted, has expired
    /// or is missing, a peer that speaks none. Retryable: certificates get renewed.
    Tls,
    /// No answer within the attempt's time. Retryable.
    Timeout,
    /// The backend answered, and not with success. Retryable for the statuses that OTLP lists.
    Refused(PeerStatus),
    /// The peer does not know the method, and is not asked again: see
    /// [`Unimplemented`](crate::policy::Unimplemented). Not retryable.
    Unimplemented,
    /// The batch is larger than the backend takes. Not retryable as it is.
    TooLarge,
    /// The answer is not one that OTLP knows. Not retryable: the batch may have been taken.
    InvalidResponse,
    /// The batch is not an OTLP trace request. Not retryable.
    InvalidBatch,
    /// A file could not be written. Retryable: disks get emptied.
    Io,
    /// Too much is on its way already. Retryable, a little later.
    Overloaded,
    /// The exporter is shutting down, or is gone. Not retryable.
    Shutdown,
    /// Something else, such as a transport that panicked. Not retryable.
    Other,
}

/// The status with which a backend refused a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerStatus {
    /// A [gRPC status code](https://github.com/grpc/grpc/blob/v1.76.0/doc/statuscodes.md): 0 to 16,
    /// or what the backend made up.
    Grpc(i32),
    /// An HTTP status code ([RFC 9110, section
    /// 15](https://www.rfc-editor.org/rfc/rfc9110.html#section-15)).
    Http(u16),
}

// === impl ExportError ===

impl ExportError {
    /// An error of this kind. The message is one lower-case clause that names the peer and what it
    /// was about.
    #[must_use]
    pub fn new(kind: ExportErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retry_after: None,
            delivered: Delivered::default(),
            source: None,
        }))
    }

    /// `peer` answered with `status`.
    #[must_use]
    pub fn refused(peer: impl fmt::Display, status: PeerStatus) -> Self {
        Self::new(
            ExportErrorKind::Refused(status),
            format!("{peer} refused the batch with {status}"),
        )
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds how long the backend asked to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds what became of the pieces that did not fail with it.
    pub(crate) fn with_delivered(mut self, delivered: Delivered) -> Self {
        self.0.delivered = delivered;
        self
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> ExportErrorKind {
        self.0.kind
    }

    /// How long the backend asked to be left alone: HTTP `Retry-After` or gRPC `RetryInfo`. It is
    /// what was asked for; the retry policy caps it.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How many spans of the batch arrived although it failed, since it was sent in pieces (see
    /// [`SplitLayer`](crate::policy::SplitLayer)). Sent again, they arrive twice.
    #[must_use]
    pub const fn delivered_spans(&self) -> usize {
        self.0.delivered.exported
    }

    pub(crate) const fn delivered(&self) -> Delivered {
        self.0.delivered
    }

    /// Whether OTLP lets the same batch be sent again.
    ///
    /// For a refusal that is the table for [gRPC] or [HTTP]; RESOURCE_EXHAUSTED counts only when
    /// the backend says when to come back. A broken connection and a timeout are always retryable.
    ///
    /// [gRPC]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#failures
    /// [HTTP]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#failures-1
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self.0.kind {
            ExportErrorKind::Unreachable
            | ExportErrorKind::Tls
            | ExportErrorKind::Timeout
            | ExportErrorKind::Io
            | ExportErrorKind::Overloaded => true,
            ExportErrorKind::Refused(PeerStatus::Grpc(RESOURCE_EXHAUSTED)) => {
                self.0.retry_after.is_some()
            }
            ExportErrorKind::Refused(status) => status.is_retryable(),
            _ => false,
        }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for ExportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

// === impl PeerStatus ===

impl PeerStatus {
    /// Whether the status alone makes the batch retryable by OTLP's tables: gRPC CANCELLED,
    /// DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE and DATA_LOSS; HTTP 429, 502, 503 and
    /// 504.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Grpc(code) => matches!(code, 1 | 4 | 10 | 11 | 14 | 15),
            Self::Http(status) => matches!(status, 429 | 502 | 503 | 504),
        }
    }
}

impl fmt::Display for PeerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Http(status) => write!(f, "HTTP status {status}"),
            Self::Grpc(code) => match usize::try_from(code)
                .ok()
                .and_then(|code| GRPC_NAMES.get(code))
            {
                Some(name) => write!(f, "gRPC status {code} ({name})"),
                None => write!(f, "gRPC status {code}"),
            },
        }
    }
}

/// Retryable only when the backend says when to come back.
const RESOURCE_EXHAUSTED: i32 = 8;

/// Names by code, as the gRPC text spells them.
const GRPC_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_exactly_what_otlp_lists() {
        for code in 0..17 {
            let name = GRPC_NAMES[code as usize];
            let listed = [
                "CANCELLED",
                "DEADLINE_EXCEEDED",
                "ABORTED",
                "OUT_OF_RANGE",
                "UNAVAILABLE",
                "DATA_LOSS",
            ];
            let error = ExportError::refused("peer", PeerStatus::Grpc(code));
            assert_eq!(error.is_retryable(), listed.contains(&name), "{name}");
            let delayed = error.with_retry_after(Duration::from_secs(1));
            assert_eq!(
                delayed.is_retryable(),
                name == "RESOURCE_EXHAUSTED" || listed.contains(&name),
                "{name}"
            );
        }
        for status in 100..600 {
            let error = ExportError::refused("peer", PeerStatus::Http(status))
                .with_retry_after(Duration::ZERO);
            assert_eq!(
                error.is_retryable(),
                [429, 502, 503, 504].contains(&status),
                "{status}"
            );
        }
    }

    #[test]
    fn names_the_status_it_was_refused_with() {
        for (status, expected) in [
            (
                PeerStatus::Grpc(14),
                "peer refused the batch with gRPC status 14 (UNAVAILABLE)",
            ),
            (
                PeerStatus::Grpc(-3),
                "peer refused the batch with gRPC status -3",
            ),
            (
                PeerStatus::Grpc(17),
                "peer refused the batch with gRPC status 17",
            ),
            (
                PeerStatus::Http(404),
                "peer refused the batch with HTTP status 404",
            ),
        ] {
            assert_eq!(ExportError::refused("peer", status).to_string(), expected);
        }
    }

    #[test]
    fn the_cause_is_the_source() {
        let error = ExportError::new(ExportErrorKind::Io, "cannot write")
            .with_source(std::io::Error::other("full"));
        let clone = error.clone();
        for error in [error, clone] {
            assert_eq!(error.source().unwrap().to_string(), "full");
        }
    }

    #[test]
    fn a_result_with_it_stays_small() {
        assert_eq!(size_of::<Result<(), ExportError>>(), size_of::<usize>());
    }
}
