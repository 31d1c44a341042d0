//! Every way in which a request can fail, and what its sender is told.
//!
//! An OTLP client does one of two things with spans that were not taken: it sends them again, or it
//! drops them and counts them. Which one is decided by the code alone, so that the codes here are
//! chosen by what the client should do, and stand in one table.

use std::borrow::Cow;
use std::time::Duration;

use towline_otlp::{ExportError, ExportErrorKind, PeerStatus};

use crate::stamp::{StampError, StampErrorKind};
use crate::status::Code;

/// Why a request was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    challenge: Option<Cow<'static, str>>,
    delivered_spans: usize,
}

/// The cases of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Nobody knows who sent it.
    Unauthenticated,
    /// It is known who sent it, and that one may not.
    PermissionDenied,
    /// Another HTTP method than POST.
    Method,
    /// A content type that is none of OTLP's.
    MediaType,
    /// A compression that is not known here.
    Encoding,
    /// Another gRPC method than the ones that are served.
    UnknownMethod,
    /// The gRPC frame around the message is broken, or what is in it cannot be decompressed.
    Framing,
    /// Not exactly one gRPC message.
    Cardinality,
    /// It is not an OTLP trace request.
    Malformed,
    /// More bytes or more spans than a request may have.
    TooLarge,
    /// This sender has sent too many spans of late.
    RateLimited,
    /// Too many requests at a time, or too many bytes of them.
    Busy,
    /// The body broke off.
    Broken,
    /// The body stood still.
    Idle,
    /// It was not delivered within the caller's time.
    Deadline,
    /// It could not be delivered, and another attempt may help.
    Unavailable,
    /// The backend does not want it.
    BackendRefused,
    /// It was not delivered, and another attempt does not help.
    Internal,
}

// === impl Failure ===

impl Failure {
    /// A message that is long is cut short: what is in it may come from outside.
    pub(crate) fn new(kind: FailureKind, message: impl Into<Cow<'static, str>>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE_BYTES {
            let mut ends = (0..=MAX_MESSAGE_BYTES).rev();
            let end = ends.find(|end| message.is_char_boundary(*end));
            message.to_mut().truncate(end.unwrap_or_default());
        }
        Self {
            kind,
            message,
            retry_after: None,
            challenge: None,
            delivered_spans: 0,
        }
    }

    pub(crate) fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay.min(MAX_RETRY_AFTER));
        self
    }

    /// What a 401 asks for, in `WWW-Authenticate`.
    pub(crate) fn with_challenge(mut self, challenge: Option<Cow<'static, str>>) -> Self {
        self.challenge = challenge;
        self
    }

    /// A body of `limit` bytes at most was passed, before or after decompression.
    ///
    /// The words are those of grpc-go, by which clients that can send less tell it apart from a
    /// quota: the exporter of this family splits the batch.
    #[cold]
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            FailureKind::TooLarge,
            format!("received message larger than max ({limit} bytes)"),
        )
    }

    /// The request would need more memory than its sender can ever have, which is `limit` bytes.
    #[cold]
    pub(crate) fn too_large_to_hold(limit: usize) -> Self {
        Self::new(
            FailureKind::TooLarge,
            // Of grpc-java: see `too_large`.
            format!("message exceeds maximum size: there are {limit} bytes to work on it"),
        )
    }

    #[cold]
    pub(crate) fn busy() -> Self {
        Self::new(FailureKind::Busy, "too many requests at a time").with_retry_after(BUSY_DELAY)
    }

    pub(crate) const fn kind(&self) -> FailureKind {
        self.kind
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// When the client may come back: for clients, and only where they may.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// Spans that the backend took although the request failed.
    pub(crate) const fn delivered_spans(&self) -> usize {
        self.delivered_spans
    }
}

impl From<StampError> for Failure {
    fn from(error: StampError) -> Self {
        match error.kind() {
            StampErrorKind::TooManySpans | StampErrorKind::TooLarge => Self::new(
                FailureKind::TooLarge,
                // Of grpc-java: see `too_large`.
                format!("message exceeds maximum size: {error}"),
            ),
            _ => Self::new(FailureKind::Malformed, error.to_string()),
        }
    }
}

impl From<&ExportError> for Failure {
    /// What is behind us is not the client's business: neither where the backend is, nor that it did
    /// not like *our* credentials. So only the kind is told.
    fn from(error: &ExportError) -> Self {
        let (kind, message) = match error.kind() {
            // Nothing is wrong with the request, and there may be another server.
            ExportErrorKind::Shutdown => (FailureKind::Unavailable, "the server shuts down"),
            _ if error.is_retryable() => (
                FailureKind::Unavailable,
                "the spans could not be delivered; try again",
            ),
            ExportErrorKind::TooLarge => (
                FailureKind::TooLarge,
                "message exceeds maximum size: the backend does not take it",
            ),
            ExportErrorKind::InvalidBatch
            | ExportErrorKind::Refused(
                PeerStatus::Grpc(INVALID_ARGUMENT) | PeerStatus::Http(400 | 422),
            ) => (
                FailureKind::BackendRefused,
                "the backend refused the spans as invalid",
            ),
            _ => (FailureKind::Internal, "the spans could not be delivered"),
        };
        let failure = Self {
            delivered_spans: error.delivered_spans(),
            ..Self::new(kind, message)
        };
        match error.retry_after() {
            // Only with a code that lets the client come back.
            Some(delay) if kind.is_retryable() => failure.with_retry_after(delay),
            _ => failure,
        }
    }
}

// === impl FailureKind ===

impl FailureKind {
    /// The gRPC status code, and the one of the `google.rpc.Status` in an HTTP answer.
    ///
    /// OTLP's clients try again after CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE,
    /// UNAVAILABLE and DATA_LOSS, and after RESOURCE_EXHAUSTED if there is a `RetryInfo`. What is
    /// wrong with the framing has the codes of [gRPC's own libraries].
    ///
    /// A request that is too large is RESOURCE_EXHAUSTED without `RetryInfo`, which grpc-go and
    /// gRPC's core answer as well. INVALID_ARGUMENT would also stop the few clients that retry any
    /// RESOURCE_EXHAUSTED; but those that split a batch know its size by this code and the text, and
    /// with the other they would drop spans that can be delivered. To refuse costs five bytes.
    ///
    /// [gRPC's own libraries]: https://github.com/grpc/grpc/blob/v1.76.0/doc/statuscodes.md
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::UnknownMethod | Self::Encoding | Self::Cardinality => Code::Unimplemented,
            Self::Method | Self::MediaType | Self::Malformed | Self::BackendRefused => {
                Code::InvalidArgument
            }
            Self::TooLarge | Self::RateLimited => Code::ResourceExhausted,
            Self::Busy | Self::Unavailable => Code::Unavailable,
            Self::Broken => Code::Cancelled,
            Self::Idle | Self::Deadline => Code::DeadlineExceeded,
            Self::Framing | Self::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    ///
    /// OTLP's clients try again after 429, 502, 503 and 504. A body that stands still would be a 408
    /// by HTTP's rules, after which they would not: it is a 504.
    pub(crate) const fn http_status(self) -> http::StatusCode {
        match self {
            Self::Unauthenticated => http::StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => http::StatusCode::FORBIDDEN,
            Self::Method => http::StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType | Self::Encoding => http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownMethod => http::StatusCode::NOT_FOUND,
            Self::Framing
            | Self::Cardinality
            | Self::Malformed
            | Self::Broken
            | Self::BackendRefused => http::StatusCode::BAD_REQUEST,
            Self::TooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => http::StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unavailable => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::Idle | Self::Deadline => http::StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether another attempt may help; the codes say the same to a client.
    const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Busy
                | Self::Broken
                | Self::Idle
                | Self::Deadline
                | Self::Unavailable
        )
    }
}

/// Far more than what is said here needs.
const MAX_MESSAGE_BYTES: usize = 256;

/// The longest time that a client is told to wait. What the backend says may be anything, up to what
/// a client takes for a time in the past.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// When whoever was refused for want of room may come back.
const BUSY_DELAY: Duration = Duration::from_secs(1);

const INVALID_ARGUMENT: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(FailureKind, i32, u16, bool); 18] = [
        (FailureKind::Unauthenticated, 16, 401, false),
        (FailureKind::PermissionDenied, 7, 403, false),
        (FailureKind::Method, 3, 405, false),
        (FailureKind::MediaType, 3, 415, false),
        (FailureKind::Encoding, 12, 415, false),
        (FailureKind::UnknownMethod, 12, 404, false),
        (FailureKind::Framing, 13, 400, false),
        (FailureKind::Cardinality, 12, 400, false),
        (FailureKind::Malformed, 3, 400, false),
        (FailureKind::TooLarge, 8, 413, false),
        (FailureKind::RateLimited, 8, 429, true),
        (FailureKind::Busy, 14, 503, true),
        // Nobody is there to read the HTTP one.
        (FailureKind::Broken, 1, 400, true),
        (FailureKind::Idle, 4, 504, true),
        (FailureKind::Deadline, 4, 504, true),
        (FailureKind::Unavailable, 14, 503, true),
        (FailureKind::BackendRefused, 3, 400, false),
        (FailureKind::Internal, 13, 500, false),
    ];

    #[test]
    fn the_codes_are_what_the_table_says() {
        for (kind, code, status, retryable) in ALL {
            assert_eq!(kind.code() as i32, code, "{kind:?}");
            assert_eq!(kind.http_status().as_u16(), status, "{kind:?}");
            assert_eq!(kind.is_retryable(), retryable, "{kind:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        for text in [
            "x".repeat(10_000),
            "x".to_owned() + &"\u{e4}".repeat(10_000),
        ] {
            let failure = Failure::new(FailureKind::Malformed, text.clone());
            assert!(text.starts_with(failure.message()));
            let len = failure.message().len();
            assert!(
                (MAX_MESSAGE_BYTES - 1..=MAX_MESSAGE_BYTES).contains(&len),
                "{len}"
            );
        }
        let whole = "x".repeat(MAX_MESSAGE_BYTES);
        let failure = Failure::new(FailureKind::Malformed, whole.clone());
        assert_eq!(failure.message(), whole);
    }

    #[test]
    fn a_client_does_what_is_meant_by_either_protocol() {
        for (kind, code, status, retryable) in ALL {
            // By OTLP's tables, as the exporter of this family has them.
            let of = |status| {
                let error = ExportError::refused("us", status);
                match kind {
                    FailureKind::RateLimited => error.with_retry_after(Duration::from_secs(1)),
                    _ => error,
                }
            };
            assert_eq!(
                of(PeerStatus::Grpc(code)).is_retryable(),
                retryable,
                "{kind:?}"
            );
            if kind != FailureKind::Broken {
                let error = of(PeerStatus::Http(status));
                assert_eq!(error.is_retryable(), retryable, "{kind:?}");
            }
        }
    }

    #[test]
    fn an_export_error_becomes_what_makes_the_client_do_the_right_thing() {
        let delay = Duration::from_secs(7);
        let error = |kind| ExportError::new(kind, "secret.backend:4317 said no");
        let refused = |status| ExportError::refused("secret.backend:4317", status);
        for (error, kind, retry_after) in [
            (
                error(ExportErrorKind::Unreachable),
                FailureKind::Unavailable,
                None,
            ),
            (error(ExportErrorKind::Tls), FailureKind::Unavailable, None),
            (
                error(ExportErrorKind::Timeout),
                FailureKind::Unavailable,
                None,
            ),
            (error(ExportErrorKind::Io), FailureKind::Unavailable, None),
            (
                error(ExportErrorKind::Overloaded).with_retry_after(delay),
                FailureKind::Unavailable,
                Some(delay),
            ),
            (
                error(ExportErrorKind::Shutdown),
                FailureKind::Unavailable,
                None,
            ),
            (
                error(ExportErrorKind::Unimplemented),
                FailureKind::Internal,
                None,
            ),
            (
                error(ExportErrorKind::TooLarge),
                FailureKind::TooLarge,
                None,
            ),
            (
                error(ExportErrorKind::InvalidResponse),
                FailureKind::Internal,
                None,
            ),
            (
                error(ExportErrorKind::InvalidBatch),
                FailureKind::BackendRefused,
                None,
            ),
            (error(ExportErrorKind::Other), FailureKind::Internal, None),
            (
                refused(PeerStatus::Grpc(14)),
                FailureKind::Unavailable,
                None,
            ),
            (
                refused(PeerStatus::Grpc(14)).with_retry_after(delay),
                FailureKind::Unavailable,
                Some(delay),
            ),
            (
                refused(PeerStatus::Grpc(8)).with_retry_after(delay),
                FailureKind::Unavailable,
                Some(delay),
            ),
            (refused(PeerStatus::Grpc(8)), FailureKind::Internal, None),
            (
                refused(PeerStatus::Grpc(3)),
                FailureKind::BackendRefused,
                None,
            ),
            // With these a client would think that it is its own credentials, or that we are too old.
            (refused(PeerStatus::Grpc(16)), FailureKind::Internal, None),
            (refused(PeerStatus::Grpc(7)), FailureKind::Internal, None),
            (
                refused(PeerStatus::Grpc(12)).with_retry_after(delay),
                FailureKind::Internal,
                None,
            ),
            (
                refused(PeerStatus::Http(400)),
                FailureKind::BackendRefused,
                None,
            ),
            (
                refused(PeerStatus::Http(422)),
                FailureKind::BackendRefused,
                None,
            ),
            (refused(PeerStatus::Http(401)), FailureKind::Internal, None),
            (refused(PeerStatus::Http(404)), FailureKind::Internal, None),
            (
                refused(PeerStatus::Http(429)),
                FailureKind::Unavailable,
                None,
            ),
            (refused(PeerStatus::Http(500)), FailureKind::Internal, None),
            (
                refused(PeerStatus::Http(503)).with_retry_after(delay),
                FailureKind::Unavailable,
                Some(delay),
            ),
        ] {
            let failure = Failure::from(&error);
            assert_eq!(failure.kind(), kind, "{error}");
            assert_eq!(failure.retry_after(), retry_after, "{error}");
            assert!(!failure.message().contains("secret"), "{error}");
            assert!(
                !error.is_retryable() || kind.is_retryable(),
                "what may be tried again is: {error}"
            );
        }
    }
}
