use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::Failure;

/// The memory that all requests have together.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    used: AtomicUsize,
    max: usize,
}

/// What one request has of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    bytes: usize,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            used: AtomicUsize::new(0),
            max,
        }))
    }

    pub(crate) fn hold(&self) -> Held {
        Held {
            budget: self.clone(),
            bytes: 0,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }
}

// === impl Held ===

impl Held {
    /// Takes `bytes` in all, before they are allocated or after they were freed.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), Failure> {
        let Inner { used, max } = &*self.budget.0;
        match bytes.checked_sub(self.bytes) {
            None => {
                used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            }
            Some(more) => {
                used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                    used.checked_add(more).filter(|used| used <= max)
                })
                .map_err(|_| Failure::busy())?;
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_gives_more_than_there_is_and_gets_all_of_it_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.hold(), budget.hold());
        one.resize(6).unwrap();
        assert!(two.resize(5).is_err());
        two.resize(4).unwrap();
        assert!(one.resize(7).is_err());
        assert_eq!(budget.used(), 10);
        one.resize(1).unwrap();
        two.resize(9).unwrap();
        assert!(two.resize(usize::MAX).is_err());
        drop(two);
        assert_eq!(budget.used(), 1);
        drop(one);
        assert_eq!(budget.used(), 0);
    }
}
