use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::Gate;
use crate::script::Wait;

/// What a [`Collector`](super::Collector) does with a request that it has read.
///
/// One answer serves every protocol: each constructor says what it is in OTLP/gRPC and in
/// OTLP/HTTP. An answer that says OK *accepts* the spans of the request, see
/// [`Collector::accepted`](super::Collector::accepted); no other does, unless it is told to by
/// [`after_accepting`](Self::after_accepting).
///
/// ```
/// use std::time::Duration;
/// use towline_test_support::Gate;
/// use towline_test_support::collector::{Answer, Refusal};
///
/// // 503 with `Retry-After`, UNAVAILABLE with `RetryInfo`.
/// let busy = Answer::status(Refusal::Unavailable).retry_after(Duration::from_secs(3));
/// // Taken, but the client never hears of it.
/// let lost = Answer::reset().after_accepting();
/// // Taken as soon as the test opens the gate.
/// let gate = Gate::new();
/// let later = Answer::gated(&gate, Answer::ok());
/// # drop((busy, lost, later));
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) waits: Vec<Wait>,
    pub(super) outcome: Outcome,
    pub(super) accepts_anyway: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Bytes>,
    pub(super) retry_info: Option<Duration>,
    pub(super) retry_after: Option<String>,
}

/// Why a collector refuses, in the words of neither protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// gRPC UNAVAILABLE (14), HTTP 503. To be retried.
    Unavailable,
    /// gRPC RESOURCE_EXHAUSTED (8), HTTP 429. To be retried; in gRPC only with
    /// [`retry_info`](Answer::retry_info) or [`retry_after`](Answer::retry_after).
    Throttled,
    /// gRPC UNAVAILABLE (14), HTTP 502. To be retried.
    BadGateway,
    /// gRPC DEADLINE_EXCEEDED (4), HTTP 504. To be retried.
    TimedOut,
    /// gRPC INVALID_ARGUMENT (3), HTTP 400. Not to be retried, as all that follow.
    InvalidArgument,
    /// gRPC UNAUTHENTICATED (16), HTTP 401.
    Unauthenticated,
    /// gRPC PERMISSION_DENIED (7), HTTP 403.
    PermissionDenied,
    /// gRPC UNIMPLEMENTED (12), HTTP 404.
    NotFound,
    /// gRPC RESOURCE_EXHAUSTED (8) in the words of grpc-go, HTTP 413.
    TooLarge,
    /// gRPC INTERNAL (13), HTTP 500.
    Internal,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Success(Success),
    Status(Status),
    Hang,
    Wire(Wire),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Success {
    pub(super) rejects: Rejects,
    /// What is said of the rejected spans, if not how many there are.
    pub(super) claim: Option<i64>,
    pub(super) message: String,
}

/// Which spans are not taken.
#[derive(Clone, Default)]
pub(super) enum Rejects {
    #[default]
    None,
    Last(usize),
    Where(Arc<dyn Fn(&Span) -> bool + Send + Sync>),
}

#[derive(Clone, Debug)]
pub(super) struct Status {
    /// `None`: an answer of HTTP to gRPC too, as a proxy gives it.
    pub(super) grpc: Option<i32>,
    pub(super) http: u16,
    pub(super) message: Cow<'static, str>,
    /// In trailers after a head, not in the head alone.
    pub(super) in_trailers: bool,
}

/// What is done to the connection in place of an answer, or in the middle of one.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    Reset,
    ResetMidBody,
    Close,
    ResetStream(u32),
    GoAway(u32),
    Raw(Bytes),
}

// === impl Answer ===

impl Answer {
    /// Takes every span. gRPC: OK with an empty response. HTTP: 200 with an empty response, `{}`
    /// to JSON.
    #[must_use]
    pub fn ok() -> Self {
        Self::success(Success::default())
    }

    /// Takes all but the last `rejected` spans of the request, and says so: a [*partial success*].
    /// With 0 it is a warning.
    ///
    /// [*partial success*]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#partial-success
    #[must_use]
    pub fn partial(rejected: usize, message: impl Into<String>) -> Self {
        Self::success(Success {
            rejects: Rejects::Last(rejected),
            claim: None,
            message: message.into(),
        })
    }

    /// Takes all but the spans for which `rejects` says true, and says how many those were.
    #[must_use]
    pub fn partial_where(
        rejects: impl Fn(&Span) -> bool + Send + Sync + 'static,
        message: impl Into<String>,
    ) -> Self {
        Self::success(Success {
            rejects: Rejects::Where(Arc::new(rejects)),
            claim: None,
            message: message.into(),
        })
    }

    /// Takes every span, but says that it rejected so many: more than there were, say, or less than
    /// none. No honest collector does.
    #[must_use]
    pub fn claiming_rejected(rejected: i64, message: impl Into<String>) -> Self {
        Self::success(Success {
            rejects: Rejects::None,
            claim: Some(rejected),
            message: message.into(),
        })
    }

    /// Takes every span, and says so in a response of `bytes` bytes or a few more: a partial success
    /// without rejected spans, with a message of that length.
    #[must_use]
    pub fn large(bytes: usize) -> Self {
        Self::partial(0, "x".repeat(bytes))
    }

    /// Refuses in the protocol of the request.
    #[must_use]
    pub fn status(refusal: Refusal) -> Self {
        let (grpc, http, message) = refusal.words();
        Self::both(grpc, http, message)
    }

    /// A [gRPC status], in a head that is all there is of the response (*trailers-only*), as
    /// servers write errors. 0 is OK with nothing else: it accepts the spans, although a gRPC
    /// client misses the message.
    ///
    /// OTLP/HTTP gets the status that [google.rpc.Code] gives for it.
    ///
    /// [gRPC status]: https://github.com/grpc/grpc/blob/v1.76.0/doc/statuscodes.md
    /// [google.rpc.Code]: https://github.com/googleapis/googleapis/blob/common-protos-1_3_1/google/rpc/code.proto
    #[must_use]
    pub fn grpc_status(code: i32, message: impl Into<String>) -> Self {
        Self::both(code, http_status_of(code), message.into())
    }

    /// An HTTP status. To gRPC too, without a gRPC status, as a proxy between the two would.
    ///
    /// From 200 to 299 it accepts the spans, unless the request is gRPC. Its body is empty then;
    /// otherwise it is a `google.rpc.Status`, see [`body`](Self::body) for another.
    ///
    /// # Panics
    ///
    /// If `status` is not from 200 to 999.
    #[must_use]
    #[track_caller]
    pub fn http_status(status: u16) -> Self {
        assert!(
            (200..1000).contains(&status),
            "{status} is not the status of an HTTP response"
        );
        Self::new(Outcome::Status(Status {
            grpc: None,
            http: status,
            message: Cow::Borrowed("the collector answers as it is told"),
            in_trailers: false,
        }))
    }

    /// Never answers. It ends when the client gives up, or the collector is stopped or dropped.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Outcome::Hang)
    }

    /// Resets the connection (TCP RST) without an answer; with HTTP/2 that is all of its requests.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Outcome::Wire(Wire::Reset))
    }

    /// Sends the head of a success and a part of its body, then resets the connection.
    #[must_use]
    pub fn reset_mid_body() -> Self {
        Self::new(Outcome::Wire(Wire::ResetMidBody))
    }

    /// Closes the connection (TCP FIN) without an answer.
    #[must_use]
    pub fn close() -> Self {
        Self::new(Outcome::Wire(Wire::Close))
    }

    /// Resets the one stream of HTTP/2 with an [error code], such as 7 for REFUSED_STREAM. The
    /// connection stays. HTTP/1 has no streams: the connection is reset.
    ///
    /// [error code]: https://www.rfc-editor.org/rfc/rfc9113.html#section-7
    #[must_use]
    pub fn reset_stream(error_code: u32) -> Self {
        Self::new(Outcome::Wire(Wire::ResetStream(error_code)))
    }

    /// Sends a GOAWAY frame with an [error code] that says that no stream was processed, and closes
    /// the connection. With HTTP/1 it is [`close`](Self::close).
    ///
    /// [error code]: https://www.rfc-editor.org/rfc/rfc9113.html#section-7
    #[must_use]
    pub fn go_away(error_code: u32) -> Self {
        Self::new(Outcome::Wire(Wire::GoAway(error_code)))
    }

    /// Writes these bytes where the response should be, and closes the connection. With TLS they
    /// are encrypted.
    #[must_use]
    pub fn garbage(bytes: impl Into<Bytes>) -> Self {
        Self::new(Outcome::Wire(Wire::Raw(bytes.into())))
    }

    /// Gives `answer` after `delay` of real time; its spans are accepted then. A test that can tell
    /// when it is time uses a [`Gate`].
    #[must_use]
    pub fn delayed(delay: Duration, mut answer: Self) -> Self {
        answer.waits.insert(0, Wait::Delay(delay));
        answer
    }

    /// Gives `answer` when the gate lets it through; its spans are accepted then. They are not if
    /// the client gives up before that.
    #[must_use]
    pub fn gated(gate: &Gate, mut answer: Self) -> Self {
        answer.waits.insert(0, Wait::Gate(gate.clone()));
        answer
    }

    /// Accepts every span although the answer does not say so: the request was processed and the
    /// answer got lost. A client that sends it again delivers twice.
    #[must_use]
    pub fn after_accepting(mut self) -> Self {
        self.accepts_anyway = true;
        self
    }

    /// Adds how long to stay away, in the way of each protocol: [`retry_info`](Self::retry_info)
    /// to gRPC, [`retry_after_seconds`](Self::retry_after_seconds), rounded up, to HTTP.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        self.retry_info(delay).retry_after_seconds(seconds)
    }

    /// Adds a `google.rpc.RetryInfo` to the status: to `grpc-status-details-bin`, and to the body
    /// of an HTTP error, where OTLP does not look for it.
    #[must_use]
    pub fn retry_info(mut self, delay: Duration) -> Self {
        self.retry_info = Some(delay);
        self
    }

    /// Adds [`Retry-After`] in seconds to an HTTP response.
    ///
    /// [`Retry-After`]: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3
    #[must_use]
    pub fn retry_after_seconds(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.to_string());
        self
    }

    /// Adds [`Retry-After`] as a date to an HTTP response; fractions of a second are cut off.
    ///
    /// [`Retry-After`]: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3
    ///
    /// # Panics
    ///
    /// If the date is before 1970 or after the year 9999.
    #[must_use]
    #[track_caller]
    pub fn retry_after_date(mut self, date: SystemTime) -> Self {
        self.retry_after = Some(httpdate::fmt_http_date(date));
        self
    }

    /// Puts these bytes in the place of the body of an HTTP response, or of the encoded message of a
    /// gRPC one that is OK.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The same, with `text/plain` as the content type.
    #[must_use]
    #[track_caller]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.body(text.into()).content_type("text/plain")
    }

    /// Changes the content type of the response, right or wrong.
    ///
    /// # Panics
    ///
    /// If it is not a legal header value.
    #[must_use]
    #[track_caller]
    pub fn content_type(self, content_type: &str) -> Self {
        self.header("content-type", content_type)
    }

    /// Sets a header of the response, in gRPC one of its initial metadata.
    ///
    /// # Panics
    ///
    /// If the name or the value is not a legal one.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a legal header name");
        let value = HeaderValue::try_from(value).expect("a legal header value");
        self.headers.push((name, value));
        self
    }

    /// Sends a gRPC status in trailers after a head without it, not in the head alone. Otherwise
    /// nothing changes.
    #[must_use]
    pub fn in_trailers(mut self) -> Self {
        if let Outcome::Status(status) = &mut self.outcome {
            status.in_trailers = true;
        }
        self
    }

    /// Gives a status another text; a success gets it as its warning.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        match &mut self.outcome {
            Outcome::Success(success) => success.message = message.into(),
            Outcome::Status(status) => status.message = message.into().into(),
            Outcome::Hang | Outcome::Wire(_) => {}
        }
        self
    }

    /// A status of each protocol.
    pub(super) fn both(grpc: i32, http: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Outcome::Status(Status {
            grpc: Some(grpc),
            http,
            message: message.into(),
            in_trailers: false,
        }))
    }

    fn success(success: Success) -> Self {
        Self::new(Outcome::Success(success))
    }

    fn new(outcome: Outcome) -> Self {
        Self {
            waits: vec![],
            outcome,
            accepts_anyway: false,
            headers: vec![],
            body: None,
            retry_info: None,
            retry_after: None,
        }
    }

    /// Which spans it does not accept; `None`: it accepts none.
    pub(super) fn rejects(&self, is_grpc: bool) -> Option<&Rejects> {
        let is_ok = match &self.outcome {
            Outcome::Success(success) => return Some(&success.rejects),
            Outcome::Status(status) if is_grpc => status.grpc == Some(0),
            Outcome::Status(status) => (200..300).contains(&status.http),
            Outcome::Hang | Outcome::Wire(_) => false,
        };
        (is_ok || self.accepts_anyway).then_some(&Rejects::None)
    }
}

// === impl Refusal ===

impl Refusal {
    const fn words(self) -> (i32, u16, &'static str) {
        match self {
            Self::Unavailable => (14, 503, "the collector is not available"),
            Self::Throttled => (8, 429, "too many requests"),
            Self::BadGateway => (14, 502, "the collector behind the proxy is not available"),
            Self::TimedOut => (4, 504, "the collector took too long"),
            Self::InvalidArgument => (3, 400, "the request cannot be used"),
            Self::Unauthenticated => (16, 401, "credentials are missing or wrong"),
            Self::PermissionDenied => (7, 403, "this client may not send spans"),
            Self::NotFound => (12, 404, "there is no such path"),
            Self::TooLarge => (8, 413, "grpc: received message larger than max"),
            Self::Internal => (13, 500, "the collector failed"),
        }
    }
}

// === impl Rejects ===

impl Rejects {
    /// For each of these spans whether it is rejected.
    pub(super) fn of(&self, spans: &[&Span]) -> Vec<bool> {
        match self {
            Self::None => vec![false; spans.len()],
            Self::Last(count) => {
                let taken = spans.len().saturating_sub(*count);
                (0..spans.len()).map(|index| index >= taken).collect()
            }
            Self::Where(rejects) => spans.iter().map(|span| rejects(span)).collect(),
        }
    }
}

impl fmt::Debug for Rejects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Last(count) => f.debug_tuple("Last").field(count).finish(),
            Self::Where(_) => f.write_str("Where"),
        }
    }
}

/// The HTTP status for a gRPC one, by `google/rpc/code.proto`.
const fn http_status_of(code: i32) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// The gRPC status for an HTTP one: the other way around, where there are several the general one.
pub(super) const fn grpc_status_of(http: u16) -> i32 {
    match http {
        200..300 => 0,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 10,
        413 | 429 => 8,
        499 => 1,
        501 => 12,
        502 | 503 => 14,
        504 => 4,
        400..500 => 3,
        500..600 => 13,
        _ => 2,
    }
}
