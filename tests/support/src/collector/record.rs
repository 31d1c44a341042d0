//! What a collector has seen and done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::watch;

use super::Received;
use super::answer::Rejects;
use crate::tally::{Tally, id_of};

/// Everything that is recorded, and word of every change.
#[derive(Debug)]
pub(super) struct Record {
    state: Mutex<State>,
    /// How many changes there were, for those who block ...
    changes: Mutex<u64>,
    changed: Condvar,
    /// ... and for those who await.
    watch: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Requests whose head came.
    pub(super) started: usize,
    /// Requests that came as a whole.
    pub(super) received: usize,
    pub(super) requests: Vec<Arc<Received>>,
    pub(super) unusable: Vec<String>,
    pub(super) accepted: Tally,
    pub(super) rejected: Tally,
    pub(super) connections: usize,
    pub(super) open_connections: usize,
    pub(super) failed_handshakes: Vec<String>,
}

/// Counts a connection as open.
#[derive(Debug)]
pub(super) struct Open {
    record: Arc<Record>,
}

// === impl Record ===

impl Record {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: Mutex::default(),
            changed: Condvar::new(),
            watch: watch::Sender::new(()),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was accepted: its number.
    pub(super) fn connect(self: &Arc<Self>) -> (usize, Open) {
        let number = self.change(|state| {
            state.open_connections += 1;
            state.connections += 1;
            state.connections - 1
        });
        let record = Arc::clone(self);
        (number, Open { record })
    }

    pub(super) fn failed_handshake(&self, why: String) {
        self.change(|state| state.failed_handshakes.push(why));
    }

    /// The head of a request is there: its number.
    pub(super) fn begin(&self) -> usize {
        self.change(|state| {
            state.started += 1;
            state.started - 1
        })
    }

    pub(super) fn unusable(&self, why: String) {
        self.change(|state| state.unusable.push(why));
    }

    /// The whole of a request is there.
    pub(super) fn receive(
        &self,
        received: impl FnOnce(usize) -> Received,
        keeps: bool,
    ) -> Arc<Received> {
        self.change(|state| {
            let received = Arc::new(received(state.received));
            state.received += 1;
            if keeps {
                state.requests.push(Arc::clone(&received));
            }
            received
        })
    }

    /// Takes the spans of a request but those that are rejected; says how many those are.
    pub(super) fn accept(&self, received: &Received, rejects: &Rejects) -> usize {
        let spans: Vec<&Span> = received.spans().collect();
        // Not under the lock: it is a closure of the test's.
        let rejected = rejects.of(&spans);
        self.change(|state| {
            for (span, is_rejected) in spans.iter().zip(&rejected) {
                match is_rejected {
                    true => state.rejected.add(id_of(span)),
                    false => state.accepted.add(id_of(span)),
                }
            }
        });
        rejected.iter().filter(|is_rejected| **is_rejected).count()
    }

    /// Blocks until the condition holds or it is too late; says whether it holds.
    pub(super) fn block_until(&self, deadline: Instant, condition: impl Fn() -> bool) -> bool {
        loop {
            let seen = *self.changes();
            if condition() {
                return true;
            }
            let mut changes = self.changes();
            while *changes == seen {
                let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                    return false;
                };
                let waited = self.changed.wait_timeout(changes, left);
                (changes, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Tells of every change from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.watch.subscribe()
    }

    /// Tells of a change elsewhere.
    pub(super) fn touch(&self) {
        self.change(|_| {});
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state());
        *self.changes() += 1;
        self.changed.notify_all();
        self.watch.send_replace(());
        result
    }

    fn changes(&self) -> MutexGuard<'_, u64> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        self.record.change(|state| state.open_connections -= 1);
    }
}
