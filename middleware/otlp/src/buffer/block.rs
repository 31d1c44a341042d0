use std::ops::Range;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::scope::{MAX_SCOPES, same_scope, scope_bytes};
use crate::wire::{NESTING_BYTES, put_len_at_once};

/// Encoded spans in the order in which they ended, in series of one scope each.
///
/// A series stands as it will in a `ScopeSpans`, each span behind its key and its length:
///
/// ```text
/// scope u16, spans u16, len u32 │ 0x12 len span │ 0x12 len span │ ... │ scope u16, spans u16, ...
/// the head of a series            its spans: `len` bytes                the head of the next
/// ```
///
/// So a batch takes a series by one copy. Only where a batch ends within one are its spans looked
/// at one by one.
///
/// The memory for them is allocated once and never grows.
pub(super) struct Block {
    /// The series, each behind its [`Head`].
    bytes: Vec<u8>,
    /// The head of the last series, and where it stands.
    last: Head,
    last_at: usize,
    limit_bytes: usize,
    charge_bytes: usize,
    scopes: Vec<Arc<InstrumentationScope>>,
    scope_bytes: usize,
}

/// What stands before a series.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// Index into the block's scopes.
    scope: u16,
    spans: u16,
    len: u32,
}

/// How far a block has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// Where the head of a series begins.
    head: usize,
    /// What has been taken of the series.
    taken: Extent,
}

/// So many spans of so many bytes, their keys and lengths included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) spans: usize,
    pub(super) bytes: usize,
}

/// Spans of one scope, one behind the other: a series, or what is left of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    /// Index into the block's scopes.
    pub(super) scope: usize,
    pub(super) extent: Extent,
    /// Where the first of them begins.
    pub(super) start: usize,
}

// === impl Block ===

impl Block {
    /// A block of `limit_bytes`, heads included, which counts as `charge_bytes`.
    pub(super) fn new(limit_bytes: usize, charge_bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(limit_bytes),
            last: Head::default(),
            last_at: 0,
            limit_bytes,
            charge_bytes,
            scopes: Vec::new(),
            scope_bytes: 0,
        }
    }

    /// Forgets the content, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.scopes.clear();
        self.scope_bytes = 0;
    }

    /// Whether a span of this length fits in.
    pub(super) const fn has_room(&self, span_len: usize) -> bool {
        self.limit_bytes - self.bytes.len() >= room_for(span_len)
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

    /// Appends a span, for which there is room; gives what it takes with its key and its length.
    pub(super) fn push(&mut self, scope: usize, span: &[u8]) -> usize {
        let scope = scope as u16;
        if self.bytes.is_empty() || self.last.scope != scope || self.last.spans == u16::MAX {
            self.last_at = self.bytes.len();
            self.last = Head {
                scope,
                ..Head::default()
            };
            self.bytes.extend_from_slice(&self.last.to_bytes());
        }
        let start = self.bytes.len();
        put_len_at_once(&mut self.bytes, SPANS, span.len());
        self.bytes.extend_from_slice(span);
        let taken = self.bytes.len() - start;
        self.last.spans += 1;
        self.last.len += taken as u32;
        let place = self.bytes.get_mut(self.last_at..);
        if let Some(head) = place.and_then(<[u8]>::first_chunk_mut) {
            *head = self.last.to_bytes();
        }
        taken
    }

    /// What is left of the series at `position`; `None` at the end of the block.
    pub(super) fn series(&self, position: Position) -> Option<Series> {
        let head = Head::from_bytes(*self.bytes.get(position.head..)?.first_chunk()?);
        Some(Series {
            scope: usize::from(head.scope),
            extent: Extent {
                spans: usize::from(head.spans) - position.taken.spans,
                bytes: head.len as usize - position.taken.bytes,
            },
            start: position.head + HEAD_BYTES + position.taken.bytes,
        })
    }

    /// The bytes of a series that was read from this block, or of a part of it.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// What all its spans are.
    pub(super) fn content(&self) -> Extent {
        let mut content = Extent::default();
        let mut position = Position::default();
        while let Some(series) = self.series(position) {
            content = content.plus(series.extent);
            position = position.after(series, series.extent);
        }
        content
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

// === impl Head ===

impl Head {
    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let head = u64::from(self.len) << 32 | u64::from(self.spans) << 16 | u64::from(self.scope);
        head.to_le_bytes()
    }

    const fn from_bytes(bytes: [u8; HEAD_BYTES]) -> Self {
        let head = u64::from_le_bytes(bytes);
        Self {
            scope: head as u16,
            spans: (head >> 16) as u16,
            len: (head >> 32) as u32,
        }
    }
}

// === impl Position ===

impl Position {
    /// Behind `taken` of what is left of the series here.
    pub(super) fn after(self, series: Series, taken: Extent) -> Self {
        if taken == series.extent {
            Self {
                head: series.start + taken.bytes,
                taken: Extent::default(),
            }
        } else {
            Self {
                head: self.head,
                taken: self.taken.plus(taken),
            }
        }
    }
}

// === impl Extent ===

impl Extent {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            spans: self.spans + other.spans,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What a span of this length takes in a block at the most: it may begin a series.
pub(super) const fn room_for(span_len: usize) -> usize {
    HEAD_BYTES + NESTING_BYTES + span_len
}

const HEAD_BYTES: usize = 8;

/// `ScopeSpans.spans`.
const SPANS: u32 = 2;

const _: () = assert!(
    MAX_SCOPES <= u16::MAX as usize,
    "heads have 16 bits for them"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_len;

    #[test]
    fn spans_come_back_in_series_of_one_scope_each() {
        let mut block = Block::new(64, 64);
        let scope = |name| Arc::new(InstrumentationScope::builder(name).build());
        let (one, other) = (block.add_scope(scope("a")), block.add_scope(scope("b")));
        block.push(one, b"one");
        block.push(one, b"");
        block.push(other, b"three");
        block.push(one, b"4");
        let mut found = Vec::new();
        let mut position = Position::default();
        while let Some(series) = block.series(position) {
            let bytes = block.bytes(series.start..series.start + series.extent.bytes);
            found.push((series.scope, series.extent.spans, bytes.to_vec()));
            position = position.after(series, series.extent);
        }
        assert_eq!(
            found,
            [
                (one, 2, b"\x12\x03one\x12\x00".to_vec()),
                (other, 1, b"\x12\x05three".to_vec()),
                (one, 1, b"\x12\x014".to_vec()),
            ]
        );
        let (spans, bytes) = (4, 7 + 7 + 3);
        assert_eq!(block.content(), Extent { spans, bytes });
        // Three heads; one more for the next, with a key and a length as long as it may be.
        let room = 64 - 3 * 8 - bytes - 8 - 6;
        assert!(block.has_room(room));
        assert!(!block.has_room(room + 1));
    }

    #[test]
    fn spans_stand_behind_their_keys_and_lengths() {
        for len in [0, 1, 0x7f, 0x80, 0x81, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000] {
            let mut block = Block::new(room_for(len), 0);
            let scope = block.add_scope(Arc::new(InstrumentationScope::builder("a").build()));
            assert!(block.has_room(len));
            let taken = block.push(scope, &vec![7; len]);
            let series = block.series(Position::default()).unwrap();
            assert_eq!((series.extent.spans, series.extent.bytes), (1, taken));
            let mut expected = Vec::new();
            put_len(&mut expected, 2, len);
            expected.resize(expected.len() + len, 7);
            assert!(
                block.bytes(series.start..series.start + taken) == expected,
                "{len}"
            );
            assert!(
                block.bytes.capacity() == room_for(len),
                "{len}: it has not grown"
            );
        }
    }

    #[test]
    fn a_series_can_be_taken_bit_by_bit() {
        let mut block = Block::new(64, 64);
        let scope = block.add_scope(Arc::new(InstrumentationScope::builder("a").build()));
        block.push(scope, b"one");
        block.push(scope, b"four");
        let whole = block.series(Position::default()).unwrap();
        let first = Extent { spans: 1, bytes: 5 };
        let between = Position::default().after(whole, first);
        let rest = block.series(between).unwrap();
        assert_eq!(rest.extent, Extent { spans: 1, bytes: 6 });
        assert_eq!(rest.start, whole.start + 5);
        assert!(block.series(between.after(rest, rest.extent)).is_none());
    }

    #[test]
    fn a_series_has_an_end() {
        const COUNT: usize = u16::MAX as usize + 2;
        let mut block = Block::new(2 * COUNT + 64, 2 * COUNT + 64);
        let scope = block.add_scope(Arc::new(InstrumentationScope::builder("a").build()));
        for _ in 0..COUNT {
            block.push(scope, b"");
        }
        let first = block.series(Position::default()).unwrap();
        assert_eq!(first.extent.spans, usize::from(u16::MAX));
        let second = Position::default().after(first, first.extent);
        assert_eq!(block.series(second).unwrap().extent.spans, 2);
        let (spans, bytes) = (COUNT, 2 * COUNT);
        assert_eq!(block.content(), Extent { spans, bytes });
    }

    #[test]
    fn a_block_that_is_used_again_begins_anew() {
        let mut block = Block::new(64, 64);
        let scope = |name| Arc::new(InstrumentationScope::builder(name).build());
        for (name, span) in [("a", &b"one"[..]), ("b", b"two and a half")] {
            let index = block.add_scope(scope(name));
            block.push(index, span);
            let bytes = 2 + span.len();
            assert_eq!(block.content(), Extent { spans: 1, bytes });
            block.clear();
            assert!(block.series(Position::default()).is_none());
        }
    }
}
