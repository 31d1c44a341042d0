use std::collections::VecDeque;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::Limits;
use super::block::{Block, Extent, Position, Series};
use super::scope::same_scope;
use crate::encode::Envelope;
use crate::wire::{NESTING_BYTES, Reader, nested_len, put_len};

/// What goes into the next batch.
#[derive(Default)]
pub(super) struct Plan {
    pieces: Vec<Piece>,
    groups: Vec<Group>,
    /// For the scopes of the block at hand, the group of each once it is known.
    group_of_scope: Vec<Option<usize>>,
    limit_bytes: usize,
    limit_spans: usize,
    /// At least the bytes of the batch.
    bound_bytes: usize,
    /// What is planned: spans with their keys and lengths.
    extent: Extent,
}

/// Spans of one group that stand together in a block.
#[derive(Clone, Copy, Debug)]
struct Piece {
    group: usize,
    block: usize,
    start: usize,
    end: usize,
}

/// What becomes one `ScopeSpans`.
struct Group {
    scope: Arc<InstrumentationScope>,
    envelope: Envelope,
    /// Its spans with their keys and lengths.
    span_bytes: usize,
}

// === impl Plan ===

impl Plan {
    /// Begins anew; `resource_len` is the length of the resource's envelope.
    pub(super) fn clear(&mut self, limits: &Limits, resource_len: usize) {
        self.limit_bytes = limits.batch_bytes;
        self.limit_spans = limits.batch_spans;
        self.pieces.clear();
        self.groups.clear();
        self.bound_bytes = NESTING_BYTES + resource_len;
        self.extent = Extent::default();
    }

    /// Takes what fits of `block` from `position`; gives where to go on if something is left.
    pub(super) fn add_block(
        &mut self,
        index: usize,
        block: &Block,
        mut position: Position,
    ) -> Option<Position> {
        self.group_of_scope.clear();
        self.group_of_scope.resize(block.scopes().len(), None);
        while let Some(series) = block.series(position) {
            let (Some(scope), Some(known)) = (
                block.scopes().get(series.scope),
                self.group_of_scope.get(series.scope).copied(),
            ) else {
                break;
            };
            let group = known.or_else(|| self.group(scope));
            let new = group.is_none().then(|| Group::of(scope));
            let new_bytes = new.as_ref().map_or(0, Group::bound_bytes);
            let taken = self.what_fits(block, series, new_bytes);
            if taken.spans == 0 {
                return Some(position);
            }
            self.groups.extend(new);
            let group = group.unwrap_or(self.groups.len() - 1);
            if let Some(known) = self.group_of_scope.get_mut(series.scope) {
                *known = Some(group);
            }
            self.bound_bytes += new_bytes + taken.bytes;
            self.extent = self.extent.plus(taken);
            if let Some(group) = self.groups.get_mut(group) {
                group.span_bytes += taken.bytes;
            }
            self.pieces.push(Piece {
                group,
                block: index,
                start: series.start,
                end: series.start + taken.bytes,
            });
            position = position.after(series, taken);
            if taken.spans < series.extent.spans {
                return Some(position);
            }
        }
        None
    }

    /// How many spans it has.
    pub(super) const fn spans(&self) -> usize {
        self.extent.spans
    }

    /// What they take with their keys and lengths.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.extent.bytes
    }

    /// As much from the beginning of `series` as is within the limits together with `new_bytes`.
    fn what_fits(&self, block: &Block, series: Series, new_bytes: usize) -> Extent {
        let fits = |taken: Extent| {
            // The first span of a batch always does.
            self.extent.spans + taken.spans == 1
                || (self.extent.spans + taken.spans <= self.limit_spans
                    && self.bound_bytes + new_bytes + taken.bytes <= self.limit_bytes)
        };
        if fits(series.extent) {
            return series.extent;
        }
        let bytes = block.bytes(series.start..series.start + series.extent.bytes);
        let mut spans = Reader::new(bytes);
        let mut taken = Extent::default();
        while let Some(Ok(_)) = spans.next() {
            let more = Extent {
                spans: taken.spans + 1,
                bytes: bytes.len() - spans.rest().len(),
            };
            if !fits(more) {
                break;
            }
            taken = more;
        }
        debug_assert!(
            self.extent.spans + taken.spans > 0,
            "a batch has one span at least"
        );
        taken
    }

    fn group(&self, scope: &Arc<InstrumentationScope>) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| Arc::ptr_eq(&group.scope, scope) || same_scope(&group.scope, scope))
    }

    /// `ExportTraceServiceRequest { resource_spans = 1 { .., scope_spans = 2 { .., spans = 2 } }
    /// }`.
    pub(super) fn encode(&mut self, resource: &Envelope, blocks: &VecDeque<Block>) -> Vec<u8> {
        if self.groups.len() > 1 {
            // Stable: within its scope each span keeps its place.
            self.pieces.sort_by_key(|piece| piece.group);
        }
        let scope_spans: usize = self
            .groups
            .iter()
            .map(|group| nested_len(group.len()))
            .sum();
        let resource_spans = resource.len() + scope_spans;
        let mut out = Vec::with_capacity(nested_len(resource_spans));
        put_len(&mut out, 1, resource_spans);
        let mut pieces = self.pieces.iter().peekable();
        resource.put_around(&mut out, |out| {
            for (index, group) in self.groups.iter().enumerate() {
                put_len(out, 2, group.len());
                group.envelope.put_around(out, |out| {
                    while let Some(piece) = pieces.next_if(|piece| piece.group == index) {
                        let spans = blocks
                            .get(piece.block)
                            .map(|block| block.bytes(piece.start..piece.end));
                        out.extend_from_slice(spans.unwrap_or_default());
                    }
                });
            }
        });
        out
    }
}

// === impl Group ===

impl Group {
    fn of(scope: &Arc<InstrumentationScope>) -> Self {
        Self {
            scope: Arc::clone(scope),
            envelope: Envelope::of_scope(scope),
            span_bytes: 0,
        }
    }

    /// At least what it takes in a batch besides its spans.
    const fn bound_bytes(&self) -> usize {
        NESTING_BYTES + self.envelope.len()
    }

    const fn len(&self) -> usize {
        self.envelope.len() + self.span_bytes
    }
}
