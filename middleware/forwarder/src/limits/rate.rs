use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Keyed;
use crate::failure::{Failure, FailureKind};

/// How many spans each identity may send: a bucket of tokens for each.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Tokens per second.
    rate: f64,
    burst: f64,
    buckets: Mutex<Keyed<Bucket>>,
}

/// Tokens at a time. Below zero there is something to pay back.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

// === impl Rates ===

impl Rates {
    pub(crate) fn new(spans_per_second: u32, burst: u32) -> Self {
        let full = Bucket {
            tokens: f64::from(burst),
            at: Instant::now(),
        };
        Self {
            rate: f64::from(spans_per_second),
            burst: f64::from(burst),
            buckets: Mutex::new(Keyed::new(MAX_IDENTITIES, full)),
        }
    }

    /// Whether `identity` could send a single span now: asked before a request is read.
    pub(crate) fn check(&self, identity: &str) -> Result<(), Failure> {
        self.with(identity, |bucket| self.admit(bucket, 1.0))
    }

    /// Takes the tokens for so many spans, or none.
    pub(crate) fn take(&self, identity: &str, spans: usize) -> Result<(), Failure> {
        // Exact up to 2^53.
        let spans = spans as f64;
        self.with(identity, |bucket| {
            // Whoever sends more than a burst at once needs a full bucket.
            self.admit(bucket, spans.min(self.burst))?;
            bucket.tokens -= spans;
            Ok(())
        })
    }

    fn admit(&self, bucket: &Bucket, tokens: f64) -> Result<(), Failure> {
        let missing = tokens - bucket.tokens;
        if missing <= 0.0 && self.burst > 0.0 {
            return Ok(());
        }
        let wait = match self.burst > 0.0 {
            true => Duration::try_from_secs_f64((missing / self.rate).max(MIN_WAIT_SECONDS)),
            // Not even one will ever be there.
            false => Ok(Duration::MAX),
        };
        let wait = wait.unwrap_or(Duration::MAX);
        let message = "more spans than this sender may send";
        Err(Failure::new(FailureKind::RateLimited, message).with_retry_after(wait))
    }

    fn with<R>(&self, identity: &str, use_it: impl FnOnce(&mut Bucket) -> R) -> R {
        let now = Instant::now();
        let full = Bucket {
            tokens: self.burst,
            at: now,
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |bucket: &Bucket| self.at(bucket, now) >= self.burst;
        let bucket = buckets.entry(identity, now, full, is_full);
        bucket.tokens = self.at(bucket, now);
        bucket.at = now;
        use_it(bucket)
    }

    /// The tokens in a bucket at that time.
    fn at(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + since * self.rate).min(self.burst)
    }
}

/// How many identities are told apart. Some 100 bytes each.
const MAX_IDENTITIES: usize = 10_000;

const MIN_WAIT_SECONDS: f64 = 0.001;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let rates = Rates::new(10, 20);
        rates.take("a", 15).unwrap();
        let refused = rates.take("a", 6).unwrap_err();
        assert_eq!(refused.kind(), FailureKind::RateLimited);
        let wait = refused.retry_after().unwrap();
        assert_eq!(wait, Duration::from_millis(100));
        // Others are not concerned.
        rates.take("b", 20).unwrap();

        advance(wait).await;
        rates.take("a", 6).unwrap();
        assert!(rates.check("a").is_err());
        advance(Duration::from_secs(3600)).await;
        rates.take("a", 20).unwrap();
        assert!(rates.take("a", 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_gives_no_more_than_a_burst() {
        let rates = Rates::new(10, 20);
        rates.take("a", 20).unwrap();
        advance(Duration::from_secs(1000)).await;
        rates.take("a", 20).unwrap();
        assert!(rates.take("a", 1).is_err());
        // What has come back once does not come back again.
        advance(Duration::from_millis(500)).await;
        rates.take("a", 3).unwrap();
        rates.take("a", 2).unwrap();
        assert!(rates.take("a", 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_a_burst_is_paid_back() {
        let rates = Rates::new(10, 20);
        rates.take("a", 1).unwrap();
        assert!(rates.take("a", 120).is_err());
        advance(Duration::from_millis(100)).await;
        rates.take("a", 120).unwrap();
        let refused = rates.check("a").unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(10_100)));
        advance(Duration::from_secs(10)).await;
        assert!(rates.check("a").is_err());
        advance(Duration::from_millis(200)).await;
        rates.check("a").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_allowed_waits_long_and_not_for_ever() {
        let long = Some(Duration::from_secs(3600));
        for rates in [Rates::new(0, 0), Rates::new(5, 0)] {
            assert_eq!(rates.check("a").unwrap_err().retry_after(), long);
            assert_eq!(rates.take("a", 1).unwrap_err().retry_after(), long);
        }
        let rates = Rates::new(0, 1);
        rates.take("a", 1).unwrap();
        advance(Duration::from_secs(1 << 20)).await;
        assert_eq!(rates.check("a").unwrap_err().retry_after(), long);
    }
}
