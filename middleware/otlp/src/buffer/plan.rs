use std::collections::VecDeque;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::Limits;
use super::block::{Block, record_len, same_scope};
use crate::encode::Envelope;
use crate::wire::{MAX_LEN_LEN, nested_len, put_len};

/// What goes into the next batch.
#[derive(Default)]
pub(super) struct Plan {
    records: Vec<Planned>,
    groups: Vec<Group>,
    /// For the scopes of the block at hand, the group of each once it is known.
    group_of_scope: Vec<Option<usize>>,
    limit_bytes: usize,
    limit_spans: usize,
    /// At least the bytes of the batch.
    bound_bytes: usize,
    /// What the spans take in the buffer.
    pending_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
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
        self.records.clear();
        self.groups.clear();
        self.bound_bytes = NESTING_BYTES + resource_len;
        self.pending_bytes = 0;
    }

    /// Takes what fits of `block` from `start`; gives where to go on if something is left.
    pub(super) fn add_block(&mut self, index: usize, block: &Block, start: usize) -> Option<usize> {
        self.group_of_scope.clear();
        self.group_of_scope.resize(block.scopes().len(), None);
        let mut at = start;
        while let Some(record) = block.record(at) {
            let (Some(scope), Some(known)) = (
                block.scopes().get(record.scope),
                self.group_of_scope.get(record.scope).copied(),
            ) else {
                break;
            };
            let span_bytes = NESTING_BYTES + (record.end - record.start);
            let group = match known.or_else(|| self.group(scope)) {
                Some(group) if self.fits(span_bytes) => group,
                Some(_) => return Some(at),
                None => match self.add_group(scope, span_bytes) {
                    Some(group) => group,
                    None => return Some(at),
                },
            };
            if let Some(known) = self.group_of_scope.get_mut(record.scope) {
                *known = Some(group);
            }
            self.add(
                group,
                Planned {
                    group,
                    block: index,
                    start: record.start,
                    end: record.end,
                },
            );
            self.bound_bytes += span_bytes;
            at = record.end;
        }
        None
    }

    /// How many spans it has.
    pub(super) const fn spans(&self) -> usize {
        self.records.len()
    }

    /// What they take in the buffer.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether a span of so many bytes is within the limits; the first one always is.
    fn fits(&self, bytes: usize) -> bool {
        self.records.is_empty()
            || (self.records.len() < self.limit_spans
                && self.bound_bytes + bytes <= self.limit_bytes)
    }

    fn group(&self, scope: &Arc<InstrumentationScope>) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| Arc::ptr_eq(&group.scope, scope) || same_scope(&group.scope, scope))
    }

    /// A new group, if it and its first span fit.
    fn add_group(&mut self, scope: &Arc<InstrumentationScope>, span_bytes: usize) -> Option<usize> {
        let envelope = Envelope::of_scope(scope);
        let envelope_bytes = NESTING_BYTES + envelope.len();
        if !self.fits(envelope_bytes + span_bytes) {
            return None;
        }
        self.bound_bytes += envelope_bytes;
        self.groups.push(Group {
            scope: Arc::clone(scope),
            envelope,
            span_bytes: 0,
        });
        Some(self.groups.len() - 1)
    }

    fn add(&mut self, group: usize, planned: Planned) {
        let span_len = planned.end - planned.start;
        if let Some(group) = self.groups.get_mut(group) {
            group.span_bytes += nested_len(span_len);
        }
        self.pending_bytes += record_len(span_len);
        self.records.push(planned);
    }

    /// `ExportTraceServiceRequest { resource_spans = 1 { .., scope_spans = 2 { .., spans = 2 } }
    /// }`.
    pub(super) fn encode(&mut self, resource: &Envelope, blocks: &VecDeque<Block>) -> Vec<u8> {
        if self.groups.len() > 1 {
            // Stable: within its scope each span keeps its place.
            self.records.sort_by_key(|planned| planned.group);
        }
        let scope_spans: usize = self
            .groups
            .iter()
            .map(|group| nested_len(group.len()))
            .sum();
        let resource_spans = resource.len() + scope_spans;
        let mut out = Vec::with_capacity(nested_len(resource_spans));
        put_len(&mut out, 1, resource_spans);
        let mut records = self.records.iter().peekable();
        resource.put_around(&mut out, |out| {
            for (index, group) in self.groups.iter().enumerate() {
                put_len(out, 2, group.len());
                group.envelope.put_around(out, |out| {
                    while let Some(planned) = records.next_if(|planned| planned.group == index) {
                        let span = blocks
                            .get(planned.block)
                            .map(|block| block.bytes(planned.start..planned.end))
                            .unwrap_or_default();
                        put_len(out, 2, span.len());
                        out.extend_from_slice(span);
                    }
                });
            }
        });
        out
    }
}

// === impl Group ===

impl Group {
    const fn len(&self) -> usize {
        self.envelope.len() + self.span_bytes
    }
}

/// At most what stands before a nested message: its key and its length.
const NESTING_BYTES: usize = 1 + MAX_LEN_LEN;
