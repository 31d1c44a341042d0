use std::sync::atomic::{AtomicU64, Ordering};

use crate::limit::Limit;

/// A bucket of tokens in one atomic word: the time at which it will be full again.
///
/// Each token puts that time off by the time in which one token drips in; there is none left when it
/// would be further away than a whole bucket takes (the *generic cell rate algorithm*).
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token, if there is one at `now`, in nanoseconds.
    pub(super) fn take(&self, now: u64, limit: Limit) -> bool {
        if limit.as_per_second() == 0 {
            return false;
        }
        let one = one(limit);
        let latest = latest(now, limit);
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let next = full_at.max(now).saturating_add(one);
                (next <= latest).then_some(next)
            })
            .is_ok()
    }

    /// Makes the bucket one of this limit, which may be smaller than it was.
    pub(super) fn fit(&self, now: u64, limit: Limit) {
        let latest = latest(now, limit);
        self.full_at.fetch_min(latest, Ordering::Relaxed);
    }
}

/// The time in which one token drips in.
fn one(limit: Limit) -> u64 {
    NANOS.div_ceil(u64::from(limit.as_per_second()).max(1))
}

/// When an empty bucket would be full again.
fn latest(now: u64, limit: Limit) -> u64 {
    now.saturating_add(one(limit) * u64::from(limit.burst()))
}

const NANOS: u64 = 1_000_000_000;
