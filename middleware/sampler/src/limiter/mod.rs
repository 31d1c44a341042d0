mod bucket;
mod clock;
mod recent;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::TraceId;

use self::bucket::Bucket;
use self::clock::Clock;
use self::recent::Recent;
use crate::limit::Limit;

/// Admits so many traces a second, each as a whole if it can.
///
/// Clones share one bucket of tokens; the limit can be changed while they are used. Nothing here
/// waits: it is a few atomic operations on memory of its own.
///
/// # Several requests of one trace
///
/// A trace that was answered is remembered, so that its next request gets the same answer:
///
/// - One that was admitted has room for [`REQUESTS`](Self::REQUESTS) requests in all; the next one
///   takes another token. So callers who put all they send into one trace do not get around the
///   limit: it admits at most [`REQUESTS`](Self::REQUESTS) times as many requests as traces.
/// - One that was refused stays refused.
///
/// The memory lasts a minute and holds about a thousand traces; a flood of refused ones does not
/// drive out those that were admitted. A trace that has been forgotten is a new one: then, and when
/// a trace has used up its room while there is no token, part of it may be admitted and part not.
///
/// ```
/// use opentelemetry::trace::TraceId;
/// use towline_sampler::{Limit, Limiter};
///
/// let limiter = Limiter::new(Limit::per_second(1));
/// assert!(limiter.admits(TraceId::from(1)));
/// assert!(!limiter.admits(TraceId::from(2)));
/// // More of the first trace.
/// assert!(limiter.admits(TraceId::from(1)));
/// ```
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

struct Shared {
    limit: AtomicU64,
    bucket: Bucket,
    recent: Recent,
    clock: Clock,
}

// === impl Limiter ===

impl Limiter {
    /// How many requests of one trace go in on one token.
    pub const REQUESTS: u32 = recent::REQUESTS;

    /// A full bucket with this limit.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self::on(limit, Clock::system())
    }

    /// The same on a clock of one's own, for tests: it answers how long it is since some moment, and
    /// never goes back.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    ///
    /// use opentelemetry::trace::TraceId;
    /// use towline_sampler::{Limit, Limiter};
    ///
    /// let seconds = Arc::new(AtomicU64::new(0));
    /// let clock = Arc::clone(&seconds);
    /// let limiter = Limiter::with_clock(Limit::per_second(1), move || {
    ///     Duration::from_secs(clock.load(Ordering::Relaxed))
    /// });
    /// assert!(limiter.admits(TraceId::from(1)));
    /// assert!(!limiter.admits(TraceId::from(2)));
    /// seconds.store(1, Ordering::Relaxed);
    /// assert!(limiter.admits(TraceId::from(3)));
    /// ```
    #[must_use]
    pub fn with_clock(limit: Limit, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::on(limit, Clock::given(clock))
    }

    fn on(limit: Limit, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            limit: AtomicU64::new(limit.to_bits()),
            bucket: Bucket::default(),
            recent: Recent::default(),
            clock,
        }))
    }

    /// The limit in force.
    #[must_use]
    pub fn limit(&self) -> Limit {
        Limit::from_bits(self.0.limit.load(Ordering::Relaxed))
    }

    /// Sets the limit. Tokens that were taken stay taken, as far as the new limit goes.
    pub fn set_limit(&self, limit: Limit) {
        self.replace_limit(limit);
    }

    /// Sets the limit and answers the one before.
    pub(crate) fn replace_limit(&self, limit: Limit) -> Limit {
        let shared = &*self.0;
        let before = shared.limit.swap(limit.to_bits(), Ordering::Relaxed);
        shared.bucket.fit(shared.clock.nanos(), limit);
        Limit::from_bits(before)
    }

    /// Whether one more request of this trace is let through.
    #[must_use]
    pub fn admits(&self, trace_id: TraceId) -> bool {
        let shared = &*self.0;
        let now = shared.clock.nanos();
        shared
            .recent
            .answer(trace_id, now, || shared.bucket.take(now, self.limit()))
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.limit()).finish()
    }
}

#[cfg(test)]
mod tests;
