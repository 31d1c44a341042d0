use std::collections::VecDeque;

use super::block::{Block, room_for};
use super::scope::{KnownScopes, Scope, scope_bytes};
use super::{Ledger, Limits, Loss, Lost, Snapshot};

/// What the lock of a [`Buffer`](super::Buffer) guards.
#[derive(Default)]
pub(super) struct State {
    queue: VecDeque<Block>,
    /// Drained blocks, to be used again.
    spare: Vec<Block>,
    /// How many of them are worth keeping: about what traffic has filled between two batches.
    spare_limit: usize,
    /// Blocks that were popped since the last batch.
    popped: usize,
    known_scopes: KnownScopes,
    ledger: Ledger,
    /// Memory of all blocks: queued, spare and being drained.
    block_bytes: usize,
    /// Encoded spans that are in no batch yet, with their keys and lengths.
    pending_bytes: usize,
    /// Batches on their way.
    in_flight_bytes: usize,
    /// The part of them beyond what was set aside.
    oversize_bytes: usize,
    /// The export thread was told that a batch is due.
    signalled: bool,
    closed: bool,
    /// Nothing is drained yet: the oldest spans make room.
    keep_newest: bool,
    evicted: u64,
}

/// What became of a span, besides what the ledger says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed {
    /// The export thread must be told.
    pub(super) wake: bool,
    /// There is no room until something is drained.
    pub(super) shut: bool,
}

impl State {
    pub(super) fn new(keep_newest: bool) -> Self {
        Self {
            keep_newest,
            ..Self::default()
        }
    }

    /// Appends a span, or counts why not.
    pub(super) fn place(&mut self, limits: &Limits, scope: Scope<'_>, span: &[u8]) -> Placed {
        let was_empty = self.pending_bytes == 0;
        let mut placed = Placed::default();
        match self.try_place(limits, scope, span) {
            Ok(bytes) => {
                self.ledger.hold();
                self.pending_bytes += bytes;
                placed.wake = was_empty;
            }
            Err(loss) => {
                self.ledger.refuse(loss, 1);
                // With something left to drain the gate will be opened again; a huge span is no
                // reason to shut it.
                placed.shut = loss == Loss::BufferFull
                    && !was_empty
                    && !self.keep_newest
                    && room_for(span.len()) <= limits.block_bytes();
            }
        }
        let due = placed.shut || limits.is_batch(self.pending_bytes, self.ledger.held);
        if due && !self.signalled {
            self.signalled = true;
            placed.wake = true;
        }
        placed
    }

    fn try_place(&mut self, limits: &Limits, scope: Scope<'_>, span: &[u8]) -> Result<usize, Loss> {
        if self.closed {
            return Err(Loss::Shutdown);
        }
        if self.ledger.held + self.ledger.in_flight >= limits.buffer_spans as u64
            && !self.evict(limits)
        {
            return Err(Loss::BufferFull);
        }
        if let Some(block) = self
            .queue
            .back_mut()
            .filter(|block| block.has_room(span.len()))
        {
            if let Some(index) = block.scope_index(scope.get()) {
                return Ok(block.push(index, span));
            }
            if block.has_scope_room() {
                return self.place_in_last(limits, scope, span);
            }
        }
        let block = self.new_block(limits, span)?;
        self.queue.push_back(block);
        let placed = self.place_in_last(limits, scope, span);
        if placed.is_err()
            && let Some(block) = self.queue.pop_back()
        {
            // There is no room for its scope: an empty block is nobody's reason to drain the queue.
            self.recycle(limits, block);
        }
        placed
    }

    /// Appends to the last block, whose room is known and which has not seen `scope`.
    fn place_in_last(
        &mut self,
        limits: &Limits,
        scope: Scope<'_>,
        span: &[u8],
    ) -> Result<usize, Loss> {
        let scope = scope.share(&mut self.known_scopes);
        let bytes = scope_bytes(&scope);
        while !self.has_room(limits, bytes) {
            // Not the block that the span goes into.
            if self.queue.len() < 2 || !self.evict(limits) {
                return Err(Loss::BufferFull);
            }
        }
        let Some(block) = self.queue.back_mut() else {
            return Err(Loss::BufferFull);
        };
        let index = block.add_scope(scope);
        self.block_bytes += bytes;
        Ok(block.push(index, span))
    }

    fn new_block(&mut self, limits: &Limits, span: &[u8]) -> Result<Block, Loss> {
        let room = room_for(span.len());
        let size = limits.block_bytes();
        if room <= size {
            if let Some(block) = self.spare.pop() {
                return Ok(block);
            }
            while !self.has_room(limits, size) {
                if !self.evict(limits) {
                    return Err(Loss::BufferFull);
                }
                if let Some(block) = self.spare.pop() {
                    return Ok(block);
                }
            }
            self.block_bytes += size;
            return Ok(Block::new(size, size));
        }
        // A block of its own. While its batch is formed the span is held twice. The head of its
        // series has 32 bits for its length.
        let needed = room.saturating_mul(2);
        if needed > limits.capacity_bytes() || u32::try_from(room).is_err() {
            return Err(Loss::TooLarge);
        }
        while !self.has_room(limits, needed) {
            match self.spare.pop() {
                Some(block) => self.block_bytes -= block.charge_bytes(),
                None if self.evict(limits) => {}
                None => return Err(Loss::BufferFull),
            }
        }
        self.block_bytes += needed;
        Ok(Block::new(room, needed))
    }

    /// Gives up the oldest block, where that is allowed; says whether it did.
    fn evict(&mut self, limits: &Limits) -> bool {
        if !self.keep_newest {
            return false;
        }
        let Some(block) = self.queue.pop_front() else {
            return false;
        };
        let content = block.content();
        self.ledger.evict(content.spans as u64);
        self.evicted += content.spans as u64;
        self.pending_bytes -= content.bytes;
        self.recycle(limits, block);
        true
    }

    pub(super) const fn keep_oldest(&mut self) {
        self.keep_newest = false;
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    const fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.block_bytes + self.oversize_bytes + bytes <= limits.capacity_bytes()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn abandon(&mut self) {
        self.ledger.abandon(Loss::Shutdown);
        self.queue.clear();
        self.spare.clear();
        (
            self.block_bytes,
            self.pending_bytes,
            self.in_flight_bytes,
            self.oversize_bytes,
        ) = (0, 0, 0, 0);
    }

    pub(super) const fn snapshot(&self) -> Snapshot {
        Snapshot {
            ledger: self.ledger,
            pending_bytes: self.pending_bytes,
            held_bytes: self.block_bytes + self.in_flight_bytes,
        }
    }

    pub(super) fn pop(&mut self) -> Option<Block> {
        let block = self.queue.pop_front()?;
        self.popped += 1;
        Some(block)
    }

    pub(super) fn send(
        &mut self,
        limits: &Limits,
        spans: usize,
        pending_bytes: usize,
        batch_bytes: usize,
        drained: impl Iterator<Item = Block>,
    ) {
        self.ledger.send(spans as u64);
        self.pending_bytes -= pending_bytes;
        self.signalled = limits.is_batch(self.pending_bytes, self.ledger.held);
        self.in_flight_bytes += batch_bytes;
        self.oversize_bytes += batch_bytes.saturating_sub(limits.batch_bytes);
        if spans > 0 {
            // Twice what the batch took: one lot is filled while another is drained.
            self.spare_limit = 2 * self.popped + 1;
            self.popped = 0;
        }
        for block in drained {
            self.recycle(limits, block);
        }
        while self.spare.len() > self.spare_limit {
            if let Some(block) = self.spare.pop() {
                self.block_bytes -= block.charge_bytes();
            }
        }
    }

    fn recycle(&mut self, limits: &Limits, mut block: Block) {
        self.block_bytes -= block.scope_bytes();
        if block.charge_bytes() == limits.block_bytes() {
            block.clear();
            self.spare.push(block);
        } else {
            self.block_bytes -= block.charge_bytes();
        }
    }

    pub(super) fn settle(
        &mut self,
        limits: &Limits,
        batch_bytes: usize,
        exported: u64,
        lost: &Lost,
    ) {
        self.ledger.settle(exported, lost);
        self.in_flight_bytes -= batch_bytes;
        self.oversize_bytes -= batch_bytes.saturating_sub(limits.batch_bytes);
    }
}
