use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// Holds answers back until a test lets them go.
///
/// It stands where a test would sleep: what is behind a gate is under way for exactly as long as
/// the test wants it to be. Clones are the same gate. It is closed at first.
///
/// ```
/// use futures_util::FutureExt;
/// use towline_test_support::Gate;
///
/// let gate = Gate::new();
/// assert!(gate.passed().now_or_never().is_none());
/// gate.let_through(1);
/// assert!(gate.passed().now_or_never().is_some());
/// assert!(gate.passed().now_or_never().is_none());
/// gate.open();
/// assert!(gate.passed().now_or_never().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Closed when the gate is open.
    permits: Semaphore,
    waiting: AtomicUsize,
}

/// Counts one that waits.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Gate ===

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                permits: Semaphore::new(0),
                waiting: AtomicUsize::new(0),
            }),
        }
    }

    /// Opens it for good, for all who wait and all who come.
    pub fn open(&self) {
        self.inner.permits.close();
    }

    /// Lets `count` through, the first ones first, whether they wait already or come later.
    pub fn let_through(&self, count: usize) {
        self.inner.permits.add_permits(count);
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::SeqCst)
    }

    /// Waits until it is open, or until it lets this one through. Dropped while it waits, it takes
    /// nobody's place.
    pub async fn passed(&self) {
        let _waiting = Waiting::new(&self.inner.waiting);
        // An error says that it is open.
        if let Ok(permit) = self.inner.permits.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn counts_who_waits_and_lets_the_first_through_first() {
        let gate = Gate::new();
        let (mut first, mut second) = (Box::pin(gate.passed()), Box::pin(gate.passed()));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(gate.waiting(), 2);
        gate.let_through(1);
        assert!((&mut second).now_or_never().is_none());
        assert!(first.now_or_never().is_some());
        assert_eq!(gate.waiting(), 1);
        drop(second);
        assert_eq!(gate.waiting(), 0);
    }

    #[test]
    fn one_that_gave_up_takes_no_place() {
        let gate = Gate::default();
        let mut gone = Box::pin(gate.passed());
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        gate.let_through(1);
        assert!(gate.passed().now_or_never().is_some());
    }
}
