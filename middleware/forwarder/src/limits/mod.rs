//! What a client can cost.
//!
//! Each limit holds before the work that it saves: what is announced to be too large is refused
//! unread, what turns out to be too large as soon as it does, and a compressed body is never
//! inflated further than the limit. All of them can be set in [`Limits`].
//!
//! | limit | answer to what passes it | sent again |
//! |---|---|---|
//! | [`max_request_bytes`](Limits::max_request_bytes), [`max_spans`](Limits::max_spans) | RESOURCE_EXHAUSTED, 413 | no |
//! | nesting: 99 messages in each other ([`stamp`](crate::stamp)), 128 levels of JSON | INVALID_ARGUMENT, 400 | no |
//! | [`max_requests`](Limits::max_requests), [`max_held_bytes`](Limits::max_held_bytes): all of it, or three quarters of it by one identity | UNAVAILABLE, 503, after a second | yes |
//! | [`spans_per_second`](Limits::spans_per_second) of one identity | RESOURCE_EXHAUSTED with `RetryInfo`, 429 with `Retry-After` | yes |
//! | [`idle_timeout`](Limits::idle_timeout) of a body, the time for a request | DEADLINE_EXCEEDED, 504 | yes |
//!
//! The time for the head of a request, and the number of connections, are the server's to limit:
//! `http1_header_read_timeout`, `max_concurrent_streams` and the like.

mod budget;
mod keyed;
mod payload;
mod rate;
mod senders;

use std::time::Duration;

#[cfg(test)]
pub(crate) use self::budget::Budget;
pub(crate) use self::budget::Held;
pub(crate) use self::keyed::Keyed;
pub(crate) use self::payload::{Bounded, Compression, Payload};
pub(crate) use self::rate::Rates;
pub(crate) use self::senders::{Place, Senders};

/// The limits of a [`Forwarder`](crate::Forwarder). See the [module](self).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline_forwarder::{Forwarder, Limits};
///
/// let limits = Limits::new()
///     .max_request_bytes(4 << 20)
///     .spans_per_second(1_000, 10_000)
///     .timeout(Duration::from_secs(5));
/// let forwarder = Forwarder::builder().limits(limits).build();
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) max_request_bytes: usize,
    pub(crate) max_held_bytes: usize,
    pub(crate) max_requests: usize,
    pub(crate) max_spans: usize,
    pub(crate) rate: Option<(u32, u32)>,
    pub(crate) idle_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_timeout: Duration,
}

// === impl Limits ===

impl Limits {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_request_bytes: 64 << 20,
            max_held_bytes: 256 << 20,
            max_requests: 1_000,
            max_spans: crate::Stamp::DEFAULT_MAX_SPANS,
            rate: None,
            idle_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_timeout: Duration::from_secs(60),
        }
    }

    /// The most bytes of a request, as it comes and decompressed. Default: 64 MiB, what OTLP's
    /// exporters in Go send at most; protobuf ends below 2 GiB, and so does this.
    #[must_use]
    pub const fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = if bytes < MAX_REQUEST_BYTES {
            bytes
        } else {
            MAX_REQUEST_BYTES
        };
        self
    }

    /// The most bytes of all requests together, from the first byte that is read until the exporter
    /// has answered. Default: 256 MiB.
    ///
    /// One identity gets three quarters of it at most, so that there is always something left for
    /// others. While a request is made ready there are two of it, the second with its stamps; what is
    /// larger than that by itself is refused for good. So this should be four times
    /// [`max_request_bytes`](Self::max_request_bytes).
    #[must_use]
    pub const fn max_held_bytes(mut self, bytes: usize) -> Self {
        self.max_held_bytes = bytes;
        self
    }

    /// The most requests that are being read or delivered at a time. Default: 1,000, the length of
    /// the Collector's queue. 0 refuses all. One identity gets three quarters of them at most.
    #[must_use]
    pub const fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests;
        self
    }

    /// The most spans of a request. Default:
    /// [`Stamp::DEFAULT_MAX_SPANS`](crate::Stamp::DEFAULT_MAX_SPANS).
    #[must_use]
    pub const fn max_spans(mut self, spans: usize) -> Self {
        self.max_spans = spans;
        self
    }

    /// The most spans per second of one identity, and how many it may send at once after a pause.
    /// Default: no limit. 0 a second refuses all that goes beyond the first `burst`.
    ///
    /// A request that has more spans than `burst` alone passes when its sender has paused for long
    /// enough, and is paid back by a longer pause. Some thousand identities are told apart; if there
    /// are more at a time, the rest share.
    #[must_use]
    pub const fn spans_per_second(mut self, rate: u32, burst: u32) -> Self {
        self.rate = Some((rate, burst));
        self
    }

    /// How long a body may stand still. Default: 5 s.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long a request may take from its head to its answer, where the client does not say it with
    /// `grpc-timeout`. Default: 10 s, after which OTLP's exporters give up. It is what is set here,
    /// whatever [`max_timeout`](Self::max_timeout) is.
    ///
    /// When it is over the exporter is told that nobody waits any more: the client will send the spans
    /// again, and what is retried longer would arrive twice.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The most that a client can ask for with `grpc-timeout`. Default: 60 s.
    #[must_use]
    pub const fn max_timeout(mut self, timeout: Duration) -> Self {
        self.max_timeout = timeout;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

const MAX_REQUEST_BYTES: usize = i32::MAX as usize;
