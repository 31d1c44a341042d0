use std::ops::Range;
use std::sync::Arc;

use opentelemetry::{InstrumentationScope, KeyValue};

use crate::encode::scope_len;

/// A run of records, each an encoded span behind the index of its scope and its length.
///
/// The memory for the records is allocated once and never grows.
pub(super) struct Block {
    records: Vec<u8>,
    limit_bytes: usize,
    charge_bytes: usize,
    scopes: Vec<Arc<InstrumentationScope>>,
    scope_bytes: usize,
}

/// One span in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Index into the block's scopes.
    pub(super) scope: usize,
    /// Where the span begins.
    pub(super) start: usize,
    /// Where it ends, and the next record begins.
    pub(super) end: usize,
}

/// The scope of a span that goes into a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// Of one span among others: blocks share a copy.
    Borrowed(&'a InstrumentationScope),
    /// Whoever it is from has it for all its spans: a block knows it again by where it stands.
    Shared(&'a Arc<InstrumentationScope>),
}

/// Scopes seen lately, so that blocks share them.
#[derive(Default)]
pub(super) struct KnownScopes {
    scopes: Vec<Arc<InstrumentationScope>>,
    bytes: usize,
}

// === impl Block ===

impl Block {
    /// A block for records of `limit_bytes` together, which counts as `charge_bytes`.
    pub(super) fn new(limit_bytes: usize, charge_bytes: usize) -> Self {
        Self {
            records: Vec::with_capacity(limit_bytes),
            limit_bytes,
            charge_bytes,
            scopes: Vec::new(),
            scope_bytes: 0,
        }
    }

    /// Forgets the content, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.scopes.clear();
        self.scope_bytes = 0;
    }

    /// Whether a span of this length fits in.
    pub(super) const fn has_room(&self, span_len: usize) -> bool {
        self.limit_bytes - self.records.len() >= record_len(span_len)
    }

    /// The index of `scope` in this block, if it has one.
    pub(super) fn scope_index(&self, scope: &InstrumentationScope) -> Option<usize> {
        self.scopes
            .iter()
            .position(|known| same_scope(known, scope))
    }

    /// Whether one more scope fits in. The bound keeps the search short for programs that make up
    /// scopes as they go.
    pub(super) const fn has_scope_room(&self) -> bool {
        self.scopes.len() < MAX_SCOPES
    }

    /// Adds a scope; gives its index.
    pub(super) fn add_scope(&mut self, scope: Arc<InstrumentationScope>) -> usize {
        self.scope_bytes += scope_bytes(&scope);
        self.scopes.push(scope);
        self.scopes.len() - 1
    }

    pub(super) fn push(&mut self, scope: usize, span: &[u8]) {
        self.records
            .extend_from_slice(&(scope as u32).to_le_bytes());
        self.records
            .extend_from_slice(&(span.len() as u32).to_le_bytes());
        self.records.extend_from_slice(span);
    }

    /// The record that begins at `start`; `None` at the end.
    pub(super) fn record(&self, start: usize) -> Option<Record> {
        let header = self
            .records
            .get(start..start.checked_add(RECORD_HEADER_BYTES)?)?;
        let (scope, len) = header.split_first_chunk::<4>()?;
        let start = start + RECORD_HEADER_BYTES;
        let len = u32::from_le_bytes(*len.first_chunk()?) as usize;
        Some(Record {
            scope: u32::from_le_bytes(*scope) as usize,
            start,
            end: start + len,
        })
    }

    /// The bytes of a record that was read from this block.
    pub(super) fn bytes(&self, record: Range<usize>) -> &[u8] {
        self.records.get(record).unwrap_or_default()
    }

    /// How many spans it has, and what they take in the buffer.
    pub(super) fn content(&self) -> (u64, usize) {
        let records = std::iter::successors(self.record(0), |record| self.record(record.end));
        (records.count() as u64, self.records.len())
    }

    pub(super) fn scopes(&self) -> &[Arc<InstrumentationScope>] {
        &self.scopes
    }

    /// What it counts as, its scopes apart.
    pub(super) const fn charge_bytes(&self) -> usize {
        self.charge_bytes
    }

    /// What its scopes count as.
    pub(super) const fn scope_bytes(&self) -> usize {
        self.scope_bytes
    }
}

// === impl Scope ===

impl<'a> Scope<'a> {
    pub(super) fn get(self) -> &'a InstrumentationScope {
        match self {
            Self::Borrowed(scope) => scope,
            Self::Shared(scope) => scope,
        }
    }

    pub(super) fn share(self, known: &mut KnownScopes) -> Arc<InstrumentationScope> {
        match self {
            Self::Borrowed(scope) => known.share(scope),
            Self::Shared(scope) => Arc::clone(scope),
        }
    }
}

// === impl KnownScopes ===

impl KnownScopes {
    /// `scope`, shared with the blocks before.
    pub(super) fn share(&mut self, scope: &InstrumentationScope) -> Arc<InstrumentationScope> {
        if let Some(known) = self.scopes.iter().find(|known| same_scope(known, scope)) {
            return Arc::clone(known);
        }
        let scope = Arc::new(scope.clone());
        if self.scopes.len() >= MAX_SCOPES || self.bytes >= MAX_KNOWN_BYTES {
            *self = Self::default();
        }
        self.bytes += scope_bytes(&scope);
        if self.bytes < MAX_KNOWN_BYTES {
            self.scopes.push(Arc::clone(&scope));
        }
        scope
    }
}

/// What a span of this length takes in a block.
pub(super) const fn record_len(span_len: usize) -> usize {
    RECORD_HEADER_BYTES + span_len
}

/// What a scope takes in memory, roughly and not less.
pub(super) fn scope_bytes(scope: &InstrumentationScope) -> usize {
    size_of::<InstrumentationScope>()
        + scope.attributes().count() * size_of::<KeyValue>()
        + 2 * scope_len(scope)
}

/// Whether spans of the two belong together, without allocating for the usual case.
///
/// The order of attributes does not matter; the API's own comparison sorts them each time.
pub(super) fn same_scope(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    if std::ptr::eq(one, other) {
        return true;
    }
    one.name() == other.name()
        && one.version() == other.version()
        && one.schema_url() == other.schema_url()
        && (one.attributes().eq(other.attributes()) || one == other)
}

const RECORD_HEADER_BYTES: usize = 8;

/// Scopes of one block.
const MAX_SCOPES: usize = 64;

/// What scopes may take that are kept for blocks to come.
const MAX_KNOWN_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order() {
        let mut block = Block::new(64, 64);
        let scope = block.add_scope(Arc::new(InstrumentationScope::builder("a").build()));
        block.push(scope, b"one");
        block.push(scope, b"");
        block.push(scope, b"three");
        let mut spans = Vec::new();
        let mut at = 0;
        while let Some(record) = block.record(at) {
            spans.push(block.bytes(record.start..record.end).to_vec());
            at = record.end;
        }
        assert_eq!(spans, [&b"one"[..], b"", b"three"]);
        assert!(block.has_room(64 - 32 - 8));
        assert!(!block.has_room(64 - 32 - 7));
    }

    #[test]
    fn scopes_are_the_same_by_everything_but_the_order_of_attributes() {
        let scope = |attributes: Vec<KeyValue>| {
            InstrumentationScope::builder("a")
                .with_attributes(attributes)
                .build()
        };
        let (a, b) = (KeyValue::new("a", 1), KeyValue::new("b", 2));
        assert!(same_scope(
            &scope(vec![a.clone(), b.clone()]),
            &scope(vec![b.clone(), a.clone()])
        ));
        assert!(!same_scope(&scope(vec![a.clone()]), &scope(vec![b])));
        assert!(!same_scope(&scope(vec![a]), &scope(vec![])));
        assert!(!same_scope(
            &scope(vec![]),
            &InstrumentationScope::builder("b").build()
        ));
        assert!(!same_scope(
            &scope(vec![]),
            &InstrumentationScope::builder("a").with_version("1").build()
        ));
        assert!(!same_scope(
            &scope(vec![]),
            &InstrumentationScope::builder("a")
                .with_schema_url("1")
                .build()
        ));
    }

    #[test]
    fn known_scopes_are_shared_and_bounded() {
        let mut known = KnownScopes::default();
        let scope = InstrumentationScope::builder("a").build();
        assert!(Arc::ptr_eq(&known.share(&scope), &known.share(&scope)));
        for index in 0..1000 {
            known.share(&InstrumentationScope::builder(format!("{index}")).build());
            assert!(known.scopes.len() <= MAX_SCOPES);
        }
        known.share(&InstrumentationScope::builder("x".repeat(MAX_KNOWN_BYTES)).build());
        assert!(
            known
                .scopes
                .iter()
                .map(|scope| scope_bytes(scope))
                .sum::<usize>()
                <= MAX_KNOWN_BYTES
        );
    }
}
