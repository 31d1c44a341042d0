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
    use crate::wire::{MAX_LEN_LEN, Payload, Reader, nested_len};

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
                    assert!(span[4..] == vec![number as u8; span.len() - 4], "{number}");
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
            pushed in proptest::collection::vec((0..4_usize, 1..30_usize, any_len()), 1..40),
            batch_bytes in prop_oneof![1_000..20_000_usize, 20_000..300_000_usize],
            batch_spans in prop_oneof![Just(usize::MAX), 1..200_usize],
            // A bit for each step.
            drained: u64,
        ) {
            let limits = Limits {
                buffer_bytes: 32 << 20,
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
            let mut next = 0;
            let last = pushed.len() - 1;
            for (step, (scope, times, len)) in pushed.into_iter().enumerate() {
                for _ in 0..times {
                    let number = sent.len() as u32;
                    let mut span = number.to_le_bytes().to_vec();
                    span.resize(len, number as u8);
                    buffer.push_encoded(&scopes[scope], &span);
                    sent.push((format!("scope {scope}"), number));
                    lens.push(nested_len(len));
                }
                let batches = if step == last { usize::MAX } else { (drained >> step & 1) as usize };
                for _ in 0..batches {
                    let Some(Parcel { batch, numbers }) = drain.next_parcel(&resource) else {
                        break;
                    };
                    let end = next + batch.spans();
                    prop_assert_eq!(numbers, next as u64..end as u64);
                    prop_assert_eq!(buffer.snapshot().pending_bytes, lens[end..].iter().sum::<usize>());
                    prop_assert!(batch.spans() <= batch_spans);
                    prop_assert!(batch.spans() == 1 || batch.len_bytes() <= batch_bytes);
                    let mut found = spans_of(&batch);
                    let mut scopes_found: Vec<_> = found.iter().map(|(of, _)| of.clone()).collect();
                    scopes_found.dedup();
                    scopes_found.sort();
                    prop_assert!(scopes_found.windows(2).all(|two| two[0] != two[1]), "a scope comes twice");
                    // Another would not have fit in, with lengths of scopes and resources as long as they get.
                    if let (Some((scope, _)), Some(len)) = (sent.get(end), lens.get(end)) {
                        let is_new = !scopes_found.contains(scope);
                        let new = if is_new { 2 + "scope 0".len() + 2 + 2 } else { 0 };
                        let levels = 1 + scopes_found.len() + usize::from(is_new);
                        let more = batch.len_bytes() + len + new + levels * (MAX_LEN_LEN - 1);
                        prop_assert!(batch.spans() == batch_spans || more > batch_bytes);
                    }
                    // In order within each scope, and together the next of all.
                    prop_assert!(found.windows(2).all(|two| two[0].0 != two[1].0 || two[0].1 < two[1].1));
                    found.sort_by_key(|(_, number)| *number);
                    prop_assert_eq!(&found[..], &sent[next..end]);
                    next = end;
                }
            }
            prop_assert_eq!(next, sent.len());
            let ledger = buffer.snapshot().ledger;
            prop_assert_eq!((ledger.held, ledger.in_flight), (0, sent.len() as u64));
        }
    }

    /// Short ones, longer ones, and a few that need blocks of their own.
    fn any_len() -> impl Strategy<Value = usize> {
        prop_oneof![80 => 4..700_usize, 19 => 700..3_000_usize, 1 => 66_000..100_000_usize]
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
