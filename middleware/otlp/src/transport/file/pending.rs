//! Batches on their way into a file, so that one that is tried again is not written twice.
//!
//! An attempt has a limited time, while the thread that writes cannot be called back. So a write
//! that nobody waits for any more stays known here, and whoever comes with the same bytes waits
//! for it instead of beginning another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{ExportError, ExportErrorKind};

/// All writes that were asked for and whose result nobody has yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    writes: Mutex<Writes>,
}

#[derive(Debug, Default)]
struct Writes {
    /// In the order in which they were asked for.
    all: Vec<Write>,
    last_id: u64,
}

#[derive(Debug)]
struct Write {
    id: u64,
    /// As long as they are here, nothing else is at their address.
    bytes: Bytes,
    /// Gone once nobody waits.
    waiter: Weak<()>,
    outcome: watch::Receiver<Option<Outcome>>,
}

type Outcome = Result<(), ExportError>;

/// Who waits for the result of a write. Dropping it leaves the write to whoever comes next.
#[derive(Debug)]
pub(super) struct Waiter {
    pending: Arc<Pending>,
    id: u64,
    outcome: watch::Receiver<Option<Outcome>>,
    _alive: Arc<()>,
}

/// Who writes. If it is dropped before, the write is forgotten.
#[derive(Debug)]
pub(super) struct Writer {
    pending: Arc<Pending>,
    id: u64,
    outcome: watch::Sender<Option<Outcome>>,
    is_finished: bool,
}

// === impl Pending ===

impl Pending {
    /// Joins the write of the same bytes, if it was given up, or else asks for a new one.
    pub(super) fn enter(self: &Arc<Self>, bytes: &Bytes) -> (Waiter, Option<Writer>) {
        let alive = Arc::new(());
        let mut writes = self.lock();
        if let Some(write) = writes.given_up(bytes) {
            write.waiter = Arc::downgrade(&alive);
            let waiter = Waiter {
                pending: Arc::clone(self),
                id: write.id,
                outcome: write.outcome.clone(),
                _alive: alive,
            };
            return (waiter, None);
        }
        writes.last_id += 1;
        let id = writes.last_id;
        let (sender, receiver) = watch::channel(None);
        writes.all.push(Write {
            id,
            bytes: bytes.clone(),
            waiter: Arc::downgrade(&alive),
            outcome: receiver.clone(),
        });
        let waiter = Waiter {
            pending: Arc::clone(self),
            id,
            outcome: receiver,
            _alive: alive,
        };
        let writer = Writer {
            pending: Arc::clone(self),
            id,
            outcome: sender,
            is_finished: false,
        };
        (waiter, Some(writer))
    }

    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Writes ===

impl Writes {
    /// The write of these bytes that nobody waits for, and that has not failed.
    fn given_up(&mut self, bytes: &Bytes) -> Option<&mut Write> {
        self.all.iter_mut().find(|write| {
            !bytes.is_empty()
                && (write.bytes.as_ptr(), write.bytes.len()) == (bytes.as_ptr(), bytes.len())
                && write.is_given_up()
                && !matches!(*write.outcome.borrow(), Some(Err(_)))
        })
    }

    fn is_given_up(&self, id: u64) -> bool {
        let mut all = self.all.iter();
        all.any(|write| write.id == id && write.is_given_up())
    }

    fn remove(&mut self, id: u64) {
        self.all.retain(|write| write.id != id);
    }

    /// Forgets the oldest of those that are done and given up: nobody may ever come for them.
    fn forget(&mut self) {
        let is_left = |write: &Write| write.is_given_up() && write.outcome.borrow().is_some();
        let left = self.all.iter().filter(|write| is_left(write)).count();
        let mut surplus = left.saturating_sub(MAX_LEFT);
        self.all.retain(|write| {
            let is_kept = surplus == 0 || !is_left(write);
            surplus -= usize::from(!is_kept);
            is_kept
        });
    }
}

// === impl Write ===

impl Write {
    fn is_given_up(&self) -> bool {
        self.waiter.strong_count() == 0
    }
}

// === impl Waiter ===

impl Waiter {
    /// Waits until it is written, or is known not to be.
    pub(super) async fn wait(mut self) -> Outcome {
        let outcome = match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        self.pending.lock().remove(self.id);
        outcome.unwrap_or_else(|| {
            Err(ExportError::new(
                ExportErrorKind::Other,
                "the thread that writes files ended",
            ))
        })
    }
}

// === impl Writer ===

impl Writer {
    /// `None` if nobody waits any more: then it must not be written, and who comes next begins
    /// anew.
    pub(super) fn begin(self) -> Option<Self> {
        let mut writes = self.pending.lock();
        let is_given_up = writes.is_given_up(self.id);
        if is_given_up {
            writes.remove(self.id);
        }
        drop(writes);
        (!is_given_up).then_some(self)
    }

    pub(super) fn finish(mut self, outcome: Outcome) {
        self.is_finished = true;
        let mut writes = self.pending.lock();
        if outcome.is_err() && writes.is_given_up(self.id) {
            writes.remove(self.id);
        }
        self.outcome.send_replace(Some(outcome));
        writes.forget();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_finished {
            self.pending.lock().remove(self.id);
        }
    }
}

/// Results that are kept although nobody waits for them. Each keeps its batch in memory.
const MAX_LEFT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(index: u8) -> Bytes {
        Bytes::from(vec![index; 10])
    }

    fn failure() -> Outcome {
        Err(ExportError::new(ExportErrorKind::Io, "full"))
    }

    #[tokio::test]
    async fn who_comes_again_gets_the_result_of_the_first_write() {
        for is_done_before in [false, true] {
            let pending = Arc::new(Pending::default());
            let bytes = batch(1);
            let (first, writer) = pending.enter(&bytes);
            let writer = writer.unwrap().begin().unwrap();
            drop(first);
            let second = if is_done_before {
                writer.finish(Ok(()));
                pending.enter(&bytes.clone())
            } else {
                let second = pending.enter(&bytes.clone());
                writer.finish(Ok(()));
                second
            };
            let (second, writer) = second;
            assert!(writer.is_none());
            second.wait().await.unwrap();
            assert!(pending.lock().all.is_empty());
            // It was handed over: the same bytes once more are another write.
            assert!(pending.enter(&bytes).1.is_some());
        }
    }

    #[tokio::test]
    async fn what_failed_is_written_anew() {
        let pending = Arc::new(Pending::default());
        let bytes = batch(1);
        let (first, writer) = pending.enter(&bytes);
        let writer = writer.unwrap().begin().unwrap();
        drop(first);
        writer.finish(failure());
        let (second, writer) = pending.enter(&bytes);
        // Given up only after the failure, before it was seen.
        writer.unwrap().begin().unwrap().finish(failure());
        drop(second);
        let (third, writer) = pending.enter(&bytes);
        writer.unwrap().begin().unwrap().finish(failure());
        assert_eq!(third.wait().await.unwrap_err().kind(), ExportErrorKind::Io);
    }

    #[test]
    fn what_is_given_up_before_it_began_is_not_written() {
        let pending = Arc::new(Pending::default());
        let (first, writer) = pending.enter(&batch(1));
        drop(first);
        assert!(writer.unwrap().begin().is_none());
        assert!(pending.lock().all.is_empty());
    }

    #[test]
    fn what_is_taken_up_again_before_it_began_is_written() {
        let pending = Arc::new(Pending::default());
        let bytes = batch(1);
        let (first, writer) = pending.enter(&bytes);
        drop(first);
        let (_second, none) = pending.enter(&bytes);
        assert!(none.is_none());
        assert!(writer.unwrap().begin().is_some());
    }

    #[test]
    fn two_who_wait_at_once_are_two_writes() {
        let pending = Arc::new(Pending::default());
        let bytes = batch(1);
        let (_first, one) = pending.enter(&bytes);
        let (_second, two) = pending.enter(&bytes);
        assert!(one.is_some() && two.is_some());
    }

    #[test]
    fn other_bytes_are_another_write() {
        let pending = Arc::new(Pending::default());
        let (bytes, empty) = (batch(1), Bytes::new());
        let writers = [&bytes, &empty].map(|bytes| pending.enter(bytes).1.unwrap());
        let equal = batch(1);
        for other in [&equal, &bytes.slice(1..), &empty] {
            assert!(pending.enter(other).1.is_some());
        }
        drop(writers);
    }

    #[tokio::test]
    async fn a_thread_that_ends_is_an_error() {
        let pending = Arc::new(Pending::default());
        let bytes = batch(1);
        let (waiter, writer) = pending.enter(&bytes);
        drop(writer);
        let error = waiter.wait().await.unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Other);
        // And if nobody is there to hear of it, whoever comes next begins anew.
        let (waiter, writer) = pending.enter(&bytes);
        drop((waiter, writer));
        assert!(pending.enter(&bytes).1.is_some());
    }

    #[test]
    fn results_that_nobody_comes_for_are_forgotten() {
        let pending = Arc::new(Pending::default());
        let batches: Vec<_> = (0..20).map(batch).collect();
        for bytes in &batches {
            let (waiter, writer) = pending.enter(bytes);
            let writer = writer.unwrap().begin().unwrap();
            drop(waiter);
            writer.finish(Ok(()));
        }
        assert_eq!(pending.lock().all.len(), MAX_LEFT);
        // The latest are kept.
        assert!(pending.enter(&batches[19]).1.is_none());
        assert!(pending.enter(&batches[11]).1.is_some());
    }
}
