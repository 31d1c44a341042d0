use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::budget::{Budget, Held, WeakBudget};
use crate::failure::Failure;

/// The places and the memory of all requests, and what each sender has of them: none can take what
/// the others need.
#[derive(Debug)]
pub(crate) struct Senders {
    places: Budget,
    memory: Budget,
    shares: Mutex<Shares>,
}

/// Those who have something at the moment, and some who no longer have.
#[derive(Debug, Default)]
struct Shares {
    by_name: HashMap<Box<str>, Share>,
    /// How many there are when those are looked for who have nothing.
    sweep_at: usize,
}

#[derive(Debug)]
struct Share {
    places: WeakBudget,
    memory: WeakBudget,
}

/// The place of one request.
#[derive(Debug)]
pub(crate) struct Place {
    _held: Held,
    memory: Budget,
}

// === impl Senders ===

impl Senders {
    pub(crate) fn new(max_requests: usize, max_bytes: usize) -> Self {
        Self {
            places: Budget::new(max_requests),
            memory: Budget::new(max_bytes),
            shares: Mutex::default(),
        }
    }

    /// A place for one more request of `sender`.
    pub(crate) fn enter(&self, sender: &str) -> Result<Place, Failure> {
        let (places, memory) = self.share(sender);
        let mut held = places.hold();
        held.resize(1).map_err(|_| Failure::busy())?;
        Ok(Place {
            _held: held,
            memory,
        })
    }

    /// The memory that is held now, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.memory.used()
    }

    /// What `sender` has of the places and of the memory.
    fn share(&self, sender: &str) -> (Budget, Budget) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let (places, memory) = match shares.by_name.get(sender) {
            Some(share) => (share.places.upgrade(), share.memory.upgrade()),
            None => (None, None),
        };
        if let (Some(places), Some(memory)) = (&places, &memory) {
            return (places.clone(), memory.clone());
        }
        // Memory may be held for longer than a place, by work that nobody waits for any more.
        let places = places.unwrap_or_else(|| self.places.share());
        let memory = memory.unwrap_or_else(|| self.memory.share());
        if shares.by_name.len() >= shares.sweep_at {
            shares.by_name.retain(|_, share| share.is_held());
            shares.sweep_at = MIN_SWEEP.max(2 * shares.by_name.len());
        }
        let share = Share {
            places: places.downgrade(),
            memory: memory.downgrade(),
        };
        shares.by_name.insert(sender.into(), share);
        (places, memory)
    }
}

// === impl Share ===

impl Share {
    fn is_held(&self) -> bool {
        self.places.upgrade().is_some() || self.memory.upgrade().is_some()
    }
}

// === impl Place ===

impl Place {
    /// Takes memory for the request: nothing yet.
    pub(crate) fn memory(&self) -> Held {
        self.memory.hold()
    }
}

/// Up to so many are not worth looking for those who have nothing.
const MIN_SWEEP: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    #[test]
    fn one_sender_leaves_places_and_memory_for_others() {
        let senders = Senders::new(4, 100);
        let of_alice: Vec<_> = (0..3).map(|_| senders.enter("alice").unwrap()).collect();
        let refused = senders.enter("alice").unwrap_err();
        assert_eq!(refused.kind(), FailureKind::Busy);
        let mut held = of_alice[0].memory();
        held.resize(70).unwrap();
        assert!(of_alice[1].memory().resize(6).is_err());
        of_alice[1].memory().resize(5).unwrap();

        let of_bob = senders.enter("bob").unwrap();
        of_bob.memory().resize(30).unwrap();
        assert!(senders.enter("carol").is_err());
        drop(of_alice);
        drop(of_bob);
        // What is held for longer than its place is still its sender's.
        assert_eq!(senders.held_bytes(), 70);
        let again = senders.enter("alice").unwrap();
        assert!(again.memory().resize(6).is_err());
        drop(held);
        again.memory().resize(75).unwrap();
        assert_eq!(senders.held_bytes(), 0);
    }

    #[test]
    fn without_a_place_nobody_enters() {
        let refused = Senders::new(0, 100).enter("alice").unwrap_err();
        assert_eq!(refused.kind(), FailureKind::Busy);
    }

    #[test]
    fn whoever_has_nothing_is_forgotten() {
        let senders = Senders::new(10_000, 100);
        let staying: Vec<_> = (0..100)
            .map(|number| senders.enter(&format!("stays {number}")).unwrap())
            .collect();
        let mut held = senders.enter("works").unwrap().memory();
        held.resize(75).unwrap();
        for number in 0..10_000 {
            senders.enter(&format!("leaves {number}")).unwrap();
        }
        let again = senders.enter("works").unwrap();
        let refused = again.memory().resize(1).unwrap_err();
        assert_eq!(refused.kind(), FailureKind::Busy);
        drop(again);
        let known = senders.shares.lock().unwrap().by_name.len();
        assert!(known <= 2 * (staying.len() + 1), "{known}");
        assert_eq!(senders.places.used(), staying.len());
    }
}
