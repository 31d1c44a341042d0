//! Where encoded spans wait: bounded in bytes as they are held in memory, appended to under one
//! short lock.
//!
//! Spans stand in the order they ended in a queue of blocks, in series of one scope each, with the
//! index of the scope in the block's own table. A series stands as it will in the batch, and goes
//! into it by one copy: where a program has one scope, a whole block does. Nothing is moved as the
//! queue grows, nothing is kept apart per scope (a program with a hundred scopes does not hold a
//! hundred half-empty buffers), and a drained block is used again: in steady state nothing is
//! allocated.
//!
//! The bound covers every byte that is held for spans: blocks in the queue, blocks kept to be used
//! again, blocks being drained, and batches on their way. For the last, room is set aside, so that
//! forming a batch cannot fail.

mod block;
mod drain;
mod ledger;
mod plan;
mod scope;
mod scratch;
mod state;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::Notify;

pub(crate) use self::drain::Drain;
pub(crate) use self::ledger::{Ledger, Loss, Lost};

use self::block::Block;
use self::scope::Scope;
use self::state::{Placed, State};

/// The limits of a [`Buffer`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of everything together.
    pub(crate) buffer_bytes: usize,
    /// Of those that wait and those on their way.
    pub(crate) buffer_spans: usize,
    /// Of a batch.
    pub(crate) batch_bytes: usize,
    pub(crate) batch_spans: usize,
    /// How many batches can be on their way at a time.
    pub(crate) concurrency: usize,
}

/// Spans on their way from the threads that end them to the thread that exports them.
pub(crate) struct Buffer {
    limits: Limits,
    /// One of the `GATE_` constants: what stops a span before it is encoded.
    gate: AtomicU8,
    /// Spans refused at the gate, each counted nowhere else.
    refused_full: AtomicU64,
    refused_shutdown: AtomicU64,
    state: Mutex<State>,
    /// Tells the export thread to look.
    wake: Notify,
}

/// A view of a [`Buffer`] in which every span that ended is counted exactly once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) ledger: Ledger,
    /// Encoded spans that are in no batch yet.
    pub(crate) pending_bytes: usize,
    /// Memory for spans, batches on their way included.
    pub(crate) held_bytes: usize,
}

// === impl Limits ===

impl Limits {
    /// What blocks may take: room for a batch in each slot is set aside.
    pub(crate) const fn capacity_bytes(&self) -> usize {
        self.buffer_bytes
            .saturating_sub(self.batch_bytes.saturating_mul(self.concurrency))
    }

    /// Whether what waits is worth a batch before its time: half of the bytes that one may have, since more comes while the
    /// batch before it is on its way, or all of its spans where those are limited.
    pub(crate) const fn is_batch(&self, pending_bytes: usize, held_spans: u64) -> bool {
        pending_bytes >= self.batch_bytes.div_ceil(2) || held_spans >= self.batch_spans as u64
    }

    /// The size of a block: a small part of the whole.
    const fn block_bytes(&self) -> usize {
        match self.capacity_bytes() / 16 {
            part if part > MAX_BLOCK_BYTES => MAX_BLOCK_BYTES,
            part if part < MIN_BLOCK_BYTES => MIN_BLOCK_BYTES,
            part => part,
        }
    }
}

// === impl Buffer ===

impl Buffer {
    /// A buffer whose newest spans are refused when it is full, or, while nothing drains it because
    /// `keep_newest`, whose oldest make room.
    pub(crate) fn new(limits: Limits, keep_newest: bool) -> Self {
        Self {
            limits,
            gate: AtomicU8::new(GATE_OPEN),
            refused_full: AtomicU64::new(0),
            refused_shutdown: AtomicU64::new(0),
            state: Mutex::new(State::new(keep_newest)),
            wake: Notify::new(),
        }
    }

    /// Takes a span, or refuses and counts it: before encoding it where that can be known.
    pub(crate) fn push(&self, span: &SpanData) {
        if self.admits() {
            scratch::encoded(span, |encoded| {
                self.place(Scope::Borrowed(&span.instrumentation_scope), encoded);
            });
        }
    }

    /// Takes a span that is encoded already, or refuses and counts it.
    pub(crate) fn push_encoded(&self, scope: &Arc<InstrumentationScope>, span: &[u8]) {
        if self.admits() {
            self.place(Scope::Shared(scope), span);
        }
    }

    /// Whether the gate is open; a span that is stopped by it is counted.
    fn admits(&self) -> bool {
        let refused = match self.gate.load(Ordering::Relaxed) {
            GATE_OPEN => return true,
            GATE_FULL => &self.refused_full,
            _ => &self.refused_shutdown,
        };
        refused.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn place(&self, scope: Scope<'_>, span: &[u8]) {
        let mut state = self.lock();
        let Placed { wake, shut } = state.place(&self.limits, scope, span);
        if shut {
            self.gate.store(GATE_FULL, Ordering::Relaxed);
        }
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits until a span came into an empty buffer, or a batch is due.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// From now on it is drained: no span that was let in makes room for another any more.
    pub(crate) fn keep_oldest(&self) {
        self.lock().keep_oldest();
    }

    /// How many spans have made room for newer ones.
    pub(crate) fn evicted(&self) -> u64 {
        self.lock().evicted()
    }

    /// Lets no more spans in.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.close();
        self.gate.store(GATE_CLOSED, Ordering::Relaxed);
    }

    /// Counts everything that is held or on its way as lost: the export thread is gone.
    pub(crate) fn abandon(&self) {
        self.close();
        self.lock().abandon();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let mut snapshot = state.snapshot();
        snapshot
            .ledger
            .refuse(Loss::BufferFull, self.refused_full.load(Ordering::Relaxed));
        snapshot.ledger.refuse(
            Loss::Shutdown,
            self.refused_shutdown.load(Ordering::Relaxed),
        );
        snapshot
    }

    /// The oldest block, open or not.
    fn pop(&self) -> Option<Block> {
        self.lock().pop()
    }

    /// A batch sets out with `spans`, which counted as `pending_bytes` in the buffer and take
    /// `batch_bytes` now; the blocks they were in are done with.
    fn send(
        &self,
        spans: usize,
        pending_bytes: usize,
        batch_bytes: usize,
        drained: impl Iterator<Item = Block>,
    ) {
        let mut state = self.lock();
        state.send(&self.limits, spans, pending_bytes, batch_bytes, drained);
        self.reopen(&state);
    }

    /// A batch was answered.
    pub(crate) fn settle(&self, batch_bytes: usize, exported: u64, lost: &Lost) {
        let mut state = self.lock();
        state.settle(&self.limits, batch_bytes, exported, lost);
        self.reopen(&state);
    }

    /// There may be room again.
    fn reopen(&self, state: &State) {
        if !state.is_closed() {
            self.gate.store(GATE_OPEN, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics half-way; should it, the counters are worth more than a
        // second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const GATE_OPEN: u8 = 0;
/// The last span did not fit in, and nothing has been drained since.
const GATE_FULL: u8 = 1;
const GATE_CLOSED: u8 = 2;

const MIN_BLOCK_BYTES: usize = 1024;
const MAX_BLOCK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_due_by_half_of_its_bytes_or_all_of_its_spans() {
        let limits = |batch_bytes| Limits {
            buffer_bytes: 1 << 20,
            buffer_spans: usize::MAX,
            batch_bytes,
            batch_spans: 10,
            concurrency: 1,
        };
        for (batch_bytes, pending_bytes, held_spans, is_due) in [
            (1000, 499, 0, false),
            (1000, 500, 0, true),
            (1001, 500, 0, false),
            (1001, 501, 0, true),
            (1000, 0, 9, false),
            (1000, 0, 10, true),
            (1, 0, 0, false),
            (1, 1, 0, true),
            (usize::MAX, usize::MAX / 2, 0, false),
            (usize::MAX, usize::MAX / 2 + 1, 0, true),
        ] {
            assert_eq!(
                limits(batch_bytes).is_batch(pending_bytes, held_spans),
                is_due,
                "{pending_bytes} bytes and {held_spans} spans of {batch_bytes}"
            );
        }
    }
}
