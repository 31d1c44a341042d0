use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::block::Block;
use super::plan::Plan;
use super::{Buffer, Lost};
use crate::Batch;
use crate::encode::Envelope;

/// The export thread's end of a [`Buffer`]: forms batches, oldest spans first.
pub(crate) struct Drain {
    buffer: Arc<Buffer>,
    /// Blocks taken from the buffer; spans of the first one before `position` are in batches
    /// already.
    blocks: VecDeque<Block>,
    position: usize,
    /// Spans that were put into batches so far: the number of the next one.
    formed: u64,
    plan: Plan,
}

/// A batch that the buffer counts as on its way.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) batch: Batch,
    /// The numbers of its spans, counted in the order they were let in.
    pub(crate) numbers: Range<u64>,
}

// === impl Drain ===

impl Drain {
    pub(crate) fn new(buffer: Arc<Buffer>) -> Self {
        Self {
            buffer,
            blocks: VecDeque::new(),
            position: 0,
            formed: 0,
            plan: Plan::default(),
        }
    }

    /// How many spans were put into batches so far, or have made room for newer ones.
    pub(crate) fn formed(&self) -> u64 {
        self.formed + self.buffer.evicted()
    }

    /// Forms a batch of the oldest spans: as many as fit into the limit, and one in any case.
    pub(crate) fn next_parcel(&mut self, resource: &Envelope) -> Option<Parcel> {
        self.plan.clear(self.buffer.limits(), resource.len());
        let mut index = 0;
        let (drained, position) = loop {
            if index == self.blocks.len() {
                match self.buffer.pop() {
                    Some(block) => self.blocks.push_back(block),
                    None => break (index, 0),
                }
            }
            let Some(block) = self.blocks.get(index) else {
                break (index, 0);
            };
            let start = if index == 0 { self.position } else { 0 };
            match self.plan.add_block(index, block, start) {
                None => index += 1,
                Some(rest) => break (index, rest),
            }
        };
        let spans = self.plan.spans();
        let batch = (spans > 0)
            .then(|| Batch::from_encoded(self.plan.encode(resource, &self.blocks).into(), spans));
        self.position = position;
        self.buffer.send(
            spans,
            self.plan.pending_bytes(),
            batch.as_ref().map_or(0, Batch::len_bytes),
            self.blocks.drain(..drained),
        );
        let first = self.formed();
        self.formed += spans as u64;
        Some(Parcel {
            batch: batch?,
            numbers: first..first + spans as u64,
        })
    }

    /// The batch was answered.
    pub(crate) fn settle(&self, batch_bytes: usize, exported: u64, lost: &Lost) {
        self.buffer.settle(batch_bytes, exported, lost);
    }
}
