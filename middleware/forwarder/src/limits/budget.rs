use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::failure::Failure;

/// An amount of something that many have together: of memory, or of places for requests.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

/// A [`Budget`] for as long as somebody has something of it, or may take some.
#[derive(Debug)]
pub(super) struct WeakBudget(Weak<Inner>);

#[derive(Debug)]
struct Inner {
    used: AtomicUsize,
    max: usize,
    /// What this one is a share of.
    whole: Option<Budget>,
}

/// What one request has of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    amount: usize,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self::with(max, None)
    }

    /// A share for one of many: what is taken of it is taken of the whole as well. It is three
    /// quarters, so that there is always something left for others.
    pub(crate) fn share(&self) -> Self {
        let max = self.0.max;
        Self::with(max - max / 4, Some(self.clone()))
    }

    fn with(max: usize, whole: Option<Self>) -> Self {
        Self(Arc::new(Inner {
            used: AtomicUsize::new(0),
            max,
            whole,
        }))
    }

    pub(super) fn downgrade(&self) -> WeakBudget {
        WeakBudget(Arc::downgrade(&self.0))
    }

    pub(crate) fn hold(&self) -> Held {
        Held {
            budget: self.clone(),
            amount: 0,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn take(&self, more: usize) -> Result<(), Failure> {
        let Inner { used, max, whole } = &*self.0;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(more).filter(|used| used <= max)
        })
        .map_err(|_| Failure::busy())?;
        match whole {
            Some(whole) => whole.take(more).inspect_err(|_| {
                used.fetch_sub(more, Ordering::Relaxed);
            }),
            None => Ok(()),
        }
    }

    fn give_back(&self, amount: usize) {
        let Inner { used, whole, .. } = &*self.0;
        used.fetch_sub(amount, Ordering::Relaxed);
        if let Some(whole) = whole {
            whole.give_back(amount);
        }
    }
}

// === impl WeakBudget ===

impl WeakBudget {
    pub(super) fn upgrade(&self) -> Option<Budget> {
        self.0.upgrade().map(Budget)
    }
}

// === impl Held ===

impl Held {
    /// Takes `amount` in all, before it is used or after it has become less.
    pub(crate) fn resize(&mut self, amount: usize) -> Result<(), Failure> {
        match amount.checked_sub(self.amount) {
            None => self.budget.give_back(self.amount - amount),
            // It would be as much the next time.
            Some(_) if amount > self.budget.0.max => {
                return Err(Failure::too_large_to_hold(self.budget.0.max));
            }
            Some(more) => self.budget.take(more)?,
        }
        self.amount = amount;
        Ok(())
    }

    pub(crate) const fn amount(&self) -> usize {
        self.amount
    }

    /// Of the same budget, for something else.
    pub(crate) fn another(&self) -> Self {
        self.budget.hold()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

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
        let mut three = two.another();
        assert!(three.resize(1).is_err());
        drop(two);
        assert_eq!(budget.used(), 1);
        three.resize(1).unwrap();
        drop((one, three));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_would_never_fit_is_not_asked_for_again() {
        let budget = Budget::new(8);
        let mut other = budget.hold();
        other.resize(2).unwrap();
        for (budget, max) in [(&budget, 8), (&budget.share(), 6)] {
            let kind = |amount| {
                let failure = budget.hold().resize(amount).err();
                failure.map(|failure| failure.kind())
            };
            assert_eq!(kind(max + 1), Some(FailureKind::TooLarge));
            assert_eq!(kind(8 - 2), None);
        }
        let failure = budget.hold().resize(7).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Busy);
    }

    #[test]
    fn a_share_is_never_all_and_never_more_than_is_there() {
        for (max, share) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (1000, 750)] {
            assert_eq!(Budget::new(max).share().0.max, share, "{max}");
        }
        let whole = Budget::new(8);
        let (alice, bob) = (whole.share(), whole.share());
        let (mut of_alice, mut of_bob) = (alice.hold(), bob.hold());
        of_alice.resize(6).unwrap();
        assert!(alice.hold().resize(1).is_err());
        assert!(of_bob.resize(3).is_err());
        // What the whole did not have is not missing in the share.
        assert_eq!((bob.used(), whole.used()), (0, 6));
        of_bob.resize(2).unwrap();
        assert_eq!(whole.used(), 8);
        of_alice.resize(1).unwrap();
        of_bob.resize(6).unwrap();
        drop(of_alice);
        drop(of_bob);
        assert_eq!((alice.used(), bob.used(), whole.used()), (0, 0, 0));
    }
}
