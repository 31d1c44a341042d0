use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::block::{Block, Position};
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
    position: Position,
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
            position: Position::default(),
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
                    None => break (index, Position::default()),
                }
            }
            let Some(block) = self.blocks.get(index) else {
                break (index, Position::default());
            };
            let from = match index {
                0 => self.position,
                _ => Position::default(),
            };
            match self.plan.add_block(index, block, from) {
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

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry_sdk::Resource;
    use proptest::prelude::*;

    use super::*;
    use crate::buffer::Limits;
    use crate::wire::{Payload, Reader, nested_len};

    /// The number in front of each span, with the name of its scope.
    type Spans = Vec<(String, u32)>;

    fn fields(message: &[u8], field: u32) -> Vec<&[u8]> {
        let fields = Reader::new(message).map(Result::unwrap);
        fields
            .filter_map(|read| match read.payload {
                Payload::Len(payload) if read.number == field => Some(payload),
                _ => None,
            })
            .collect()
    }

    fn spans_of(batch: &Batch) -> Spans {
        let mut spans = Spans::new();
        for resource_spans in fields(batch.bytes(), 1) {
            for scope_spans in fields(resource_spans, 2) {
                let scope = fields(scope_spans, 1)[0];
                let name = String::from_utf8(fields(scope, 1)[0].to_vec()).unwrap();
                for span in fields(scope_spans, 2) {
                    let number = u32::from_le_bytes(*span.first_chunk().unwrap());
                    assert!(span[4..].iter().all(|byte| *byte == number as u8));
                    spans.push((name.clone(), number));
                }
            }
        }
        spans
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever comes, in whatever order: batches have all of it, each no more than it may and
        /// no less than it can.
        #[test]
        fn batches_are_full_and_in_order(
            pushed in proptest::collection::vec((0..4_usize, 1..30_usize, prop_oneof![9 => 4..700_usize, 1 => 700..3_000_usize]), 1..40),
            batch_bytes in 1_000..20_000_usize,
            batch_spans in prop_oneof![Just(usize::MAX), 1..200_usize],
            drained_after in 0..40_usize,
        ) {
            let limits = Limits {
                buffer_bytes: 16 << 20,
                buffer_spans: usize::MAX,
                batch_bytes,
                batch_spans,
                concurrency: 1,
            };
            let buffer = Arc::new(Buffer::new(limits, false));
            let mut drain = Drain::new(Arc::clone(&buffer));
            let resource = Envelope::of_resource(&Resource::builder_empty().build());
            let scopes: Vec<_> = (0..4)
                .map(|n| Arc::new(InstrumentationScope::builder(format!("scope {n}")).build()))
                .collect();
            let (mut sent, mut lens) = (Spans::new(), Vec::new());
            let mut batches: Vec<Batch> = Vec::new();
            for (step, (scope, times, len)) in pushed.into_iter().enumerate() {
                for _ in 0..times {
                    let number = sent.len() as u32;
                    let mut span = number.to_le_bytes().to_vec();
                    span.resize(len, number as u8);
                    buffer.push_encoded(&scopes[scope], &span);
                    sent.push((format!("scope {scope}"), number));
                    lens.push(nested_len(len));
                }
                // In the middle of a series, as often as not.
                if step == drained_after {
                    batches.extend(drain.next_parcel(&resource).map(|parcel| parcel.batch));
                }
            }
            let early = batches.len();
            while let Some(parcel) = drain.next_parcel(&resource) {
                let first: usize = batches.iter().map(Batch::spans).sum();
                prop_assert_eq!(parcel.numbers.start, first as u64);
                prop_assert_eq!(parcel.numbers.end, (first + parcel.batch.spans()) as u64);
                batches.push(parcel.batch);
                let left = &lens[first + batches.last().map_or(0, Batch::spans)..];
                prop_assert_eq!(buffer.snapshot().pending_bytes, left.iter().sum::<usize>());
            }
            let mut next = 0;
            for (index, batch) in batches.iter().enumerate() {
                let found = spans_of(batch);
                prop_assert_eq!(found.len(), batch.spans());
                prop_assert!(batch.spans() <= batch_spans.max(1));
                prop_assert!(batch.spans() == 1 || batch.len_bytes() <= batch_bytes);
                // In order within each scope, and together the next of all.
                prop_assert!(found.windows(2).all(|two| two[0].0 != two[1].0 || two[0].1 < two[1].1));
                let mut found = found;
                found.sort_by_key(|(_, number)| *number);
                let end = next + found.len();
                prop_assert_eq!(&found[..], &sent[next..end]);
                // Another would not have fit in: with its scope, and with lengths as long as they get.
                if index >= early && end < sent.len() {
                    let more = batch.len_bytes() + lens[end] + 5 * 6 + 4 * 12;
                    prop_assert!(batch.spans() == batch_spans || more > batch_bytes);
                }
                next = end;
            }
            prop_assert_eq!(next, sent.len());
            let ledger = buffer.snapshot().ledger;
            prop_assert_eq!((ledger.held, ledger.in_flight), (0, sent.len() as u64));
        }
    }

    #[test]
    fn spans_that_make_room_are_counted_with_those_that_were_let_in() {
        let limits = Limits {
            buffer_bytes: 40 << 10,
            buffer_spans: usize::MAX,
            batch_bytes: 8 << 10,
            batch_spans: usize::MAX,
            concurrency: 1,
        };
        let buffer = Arc::new(Buffer::new(limits, true));
        let scope = Arc::new(InstrumentationScope::builder("a").build());
        for number in 0..1_000_u32 {
            let mut span = number.to_le_bytes().to_vec();
            span.resize(100, number as u8);
            buffer.push_encoded(&scope, &span);
        }
        let evicted = buffer.evicted();
        let snapshot = buffer.snapshot();
        assert!(evicted > 0);
        assert_eq!(snapshot.ledger.held + evicted, 1_000);
        assert_eq!(snapshot.pending_bytes as u64, snapshot.ledger.held * 102);
        let mut drain = Drain::new(Arc::clone(&buffer));
        let resource = Envelope::of_resource(&Resource::builder_empty().build());
        let mut next = evicted;
        while let Some(parcel) = drain.next_parcel(&resource) {
            assert_eq!(parcel.numbers.start, next);
            for (_, number) in spans_of(&parcel.batch) {
                assert_eq!(u64::from(number), next);
                next += 1;
            }
        }
        assert_eq!(next, 1_000);
    }
}
