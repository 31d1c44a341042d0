//! Groups of attributes that were told before, as they were written then; kept by each thread.
//!
//! Most attributes of a request are those of many others: its route, its method, the server's name, the client's program.
//! To find them by what they were made from, and to copy them, takes a small part of making them again.
//!
//! Nothing is kept for a group that is seen once: somebody who sends another `user-agent` with each request does not
//! make a thread write down what it will never need. What is kept is bounded in number and in size.

use std::cell::RefCell;
use std::ops::Range;

use towline_span::{Repeated, Teller};

/// What has been found for a group.
#[derive(Debug)]
pub(super) enum Kept {
    /// It was there, and stands in the span now.
    Written(Shape),
    /// It was not. If it should be kept for the next time, then here.
    Unknown(Option<Place>),
}

/// What is in a group, beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Where the name stands; nowhere if there is none.
    pub(super) name: Range<usize>,
    pub(super) attributes: u32,
}

/// What a span can still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) name: bool,
    pub(super) attributes: u32,
}

/// Where a group is to be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    hash: u64,
}

#[derive(Debug, Default)]
struct Group {
    /// Nobody's while there is nothing in it.
    teller: Option<Teller>,
    form: u64,
    /// Of all that it is found by: what has another one is another group.
    hash: u64,
    /// The parts in a row, each behind its length, and behind them what was written.
    bytes: Vec<u8>,
    parts_len: usize,
    shape: Shape,
}

/// Those whose hash is of one kind.
#[derive(Debug, Default)]
struct Set {
    groups: [Group; WAYS],
    /// The one that has to give way to the next: not the last that was written.
    oldest: usize,
    /// The hashes of the last that were not there, the newest first.
    missed: [u64; WAYS],
}

thread_local! {
    static SETS: RefCell<Vec<Set>> = const { RefCell::new(Vec::new()) };
}

/// Writes a group to `out` as it was written the last time, if it fits.
pub(super) fn write_again(group: Repeated<'_>, room: Room, out: &mut Vec<u8>) -> Kept {
    with_set(group, |set, hash| {
        let known = set.groups.iter().enumerate();
        if let Some((way, known)) = known.into_iter().find(|(_, known)| known.is(group, hash)) {
            set.oldest = (way + 1) % WAYS;
            if !room.takes(&known.shape) {
                return Kept::Unknown(None);
            }
            out.extend_from_slice(known.written());
            return Kept::Written(known.shape.clone());
        }
        let is_again = set.missed.contains(&hash);
        if !is_again {
            set.missed.rotate_right(1);
            set.missed[0] = hash;
        }
        Kept::Unknown(is_again.then_some(Place { hash }))
    })
    .unwrap_or(Kept::Unknown(None))
}

/// Keeps what was written for a group.
pub(super) fn keep(place: Place, group: Repeated<'_>, written: &[u8], shape: Shape) {
    if written.len() > MAX_WRITTEN_BYTES {
        return;
    }
    let _ = SETS.try_with(|sets| {
        let mut sets = sets.try_borrow_mut().ok()?;
        let set = sets.get_mut(index_of(place.hash))?;
        let oldest = set.oldest;
        set.oldest = (oldest + 1) % WAYS;
        set.groups
            .get_mut(oldest)?
            .take_over(group, place.hash, written, shape);
        Some(())
    });
}

/// The set of a group, unless the group is too large for any.
fn with_set<R>(group: Repeated<'_>, look: impl FnOnce(&mut Set, u64) -> R) -> Option<R> {
    if parts_len(group) > MAX_PARTS_BYTES {
        return None;
    }
    SETS.try_with(|sets| {
        let mut sets = sets.try_borrow_mut().ok()?;
        if sets.is_empty() {
            sets.resize_with(MAX_SETS, Set::default);
        }
        let hash = hash(group);
        Some(look(sets.get_mut(index_of(hash))?, hash))
    })
    .ok()
    .flatten()
}

/// The set of a group by its hash.
const fn index_of(hash: u64) -> usize {
    (hash >> (u64::BITS - MAX_SETS.ilog2())) as usize
}

/// Of every byte: what differs in the middle alone, as the versions of a browser do, is not to share a set.
fn hash(group: Repeated<'_>) -> u64 {
    let hash = mix(group.teller.id(), [group.form, 0]);
    group
        .parts
        .iter()
        .fold(hash, |hash, part| hash_part(hash, part))
}

/// Sixteen bytes at a time, the last sixteen once more: what is short is read from both its ends.
fn hash_part(hash: u64, part: &[u8]) -> u64 {
    let Some(end) = part.last_chunk::<16>() else {
        return mix(hash, ends(part));
    };
    let (words, _rest) = part.as_chunks::<16>();
    let hash = words.iter().fold(hash, |hash, word| mix(hash, ends(word)));
    mix(hash, ends(end))
}

/// Up to sixteen bytes as two numbers.
fn ends(bytes: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return [first, last].map(|bytes| u64::from_le_bytes(*bytes));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return [first, last].map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
    }
    let word = bytes.iter();
    let word = word.fold(0, |word, byte| word << 8 | u64::from(*byte));
    [word, bytes.len() as u64]
}

/// Two numbers at once, by the product of both and its two halves.
fn mix(hash: u64, [one, other]: [u64; 2]) -> u64 {
    let product = u128::from(one ^ hash) * u128::from(other ^ MIXED_WITH);
    (product >> u64::BITS) as u64 ^ product as u64 ^ hash.rotate_left(32)
}

// === impl Room ===

impl Room {
    fn takes(self, shape: &Shape) -> bool {
        shape.attributes <= self.attributes && (self.name || shape.name.is_empty())
    }
}

// === impl Group ===

impl Group {
    fn is(&self, group: Repeated<'_>, hash: u64) -> bool {
        if self.hash != hash || self.teller != Some(group.teller) || self.form != group.form {
            return false;
        }
        let Some(mut rest) = self.bytes.get(..self.parts_len) else {
            return false;
        };
        for part in group.parts {
            let Some((len, behind)) = rest.split_at_checked(LEN_BYTES) else {
                return false;
            };
            if len != len_of(part) {
                return false;
            }
            let Some((known, behind)) = behind.split_at_checked(part.len()) else {
                return false;
            };
            if !is_same(known, part) {
                return false;
            }
            rest = behind;
        }
        rest.is_empty()
    }

    /// In the memory that it has.
    fn take_over(&mut self, group: Repeated<'_>, hash: u64, written: &[u8], shape: Shape) {
        self.teller = Some(group.teller);
        self.form = group.form;
        self.hash = hash;
        self.parts_len = parts_len(group);
        self.bytes.clear();
        self.bytes.reserve_exact(self.parts_len + written.len());
        for part in group.parts {
            self.bytes.extend_from_slice(&len_of(part));
            self.bytes.extend_from_slice(part);
        }
        self.bytes.extend_from_slice(written);
        self.shape = shape;
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(self.parts_len..).unwrap_or_default()
    }
}

/// Whether two parts of one length are the same: most are too short for a call to be worth it.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (Some(end), Some(other_end)) = (one.last_chunk::<16>(), other.last_chunk::<16>()) else {
        return ends(one) == ends(other);
    };
    let (words, _rest) = one.as_chunks::<16>();
    let (other_words, _rest) = other.as_chunks::<16>();
    words
        .iter()
        .zip(other_words)
        .all(|(word, other)| word == other)
        && end == other_end
}

/// What the parts take, with their lengths.
fn parts_len(group: Repeated<'_>) -> usize {
    group.parts.iter().map(|part| LEN_BYTES + part.len()).sum()
}

/// What is longer is never kept.
fn len_of(part: &[u8]) -> [u8; LEN_BYTES] {
    u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes()
}

/// The digits of pi behind the point.
const MIXED_WITH: u64 = 0x243f_6a88_85a3_08d3;

const LEN_BYTES: usize = size_of::<u16>();

/// As many groups as a service usually has on a thread: routes, times the programs that call it.
const MAX_SETS: usize = 32;
const WAYS: usize = 2;

/// What is kept is some 105 KiB at the worst, and usually a few.
const MAX_PARTS_BYTES: usize = 512;
const MAX_WRITTEN_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a span does with a group.
    fn told(group: Repeated<'_>, written: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let room = Room {
            name: true,
            attributes: u32::MAX,
        };
        match write_again(group, room, &mut out) {
            Kept::Written(shape) => {
                assert_eq!(shape.attributes as usize, written.len());
                Some(out)
            }
            Kept::Unknown(place) => {
                assert_eq!(out, b"before");
                let shape = Shape {
                    name: 0..0,
                    attributes: written.len() as u32,
                };
                if let Some(place) = place {
                    keep(place, group, written, shape);
                }
                None
            }
        }
    }

    #[test]
    fn a_group_is_kept_when_it_comes_again_and_written_from_then_on() {
        let group = Repeated::new(Teller::new(), 0, &[b"GET", b"/users/{id}"]);
        assert_eq!(told(group, b"one"), None);
        assert_eq!(told(group, b"one"), None);
        for _ in 0..3 {
            assert_eq!(told(group, b"one").unwrap(), b"beforeone");
        }
        let other = Repeated::new(Teller::new(), 0, group.parts);
        assert_eq!(told(other, b"two"), None);
    }

    #[test]
    fn without_room_it_is_told() {
        let group = Repeated::new(Teller::new(), 0, &[b"GET"]);
        let shape = Shape {
            name: 0..1,
            attributes: 3,
        };
        for _ in 0..2 {
            let room = Room {
                name: true,
                attributes: 3,
            };
            if let Kept::Unknown(Some(place)) = write_again(group, room, &mut Vec::new()) {
                keep(place, group, b"abc", shape.clone());
            }
        }
        for (name, attributes, is_written) in [(true, 2, false), (false, 3, false), (true, 3, true)]
        {
            let mut out = Vec::new();
            let kept = write_again(group, Room { name, attributes }, &mut out);
            assert_eq!(matches!(kept, Kept::Written(_)), is_written);
            assert_eq!(out.is_empty(), !is_written);
        }
    }

    #[test]
    fn what_is_large_is_told_each_time() {
        let teller = Teller::new();
        for len in [
            MAX_PARTS_BYTES - LEN_BYTES,
            MAX_PARTS_BYTES - LEN_BYTES + 1,
            usize::from(u16::MAX),
            100_000,
        ] {
            let part = "x".repeat(len);
            let parts = [part.as_bytes()];
            let group = Repeated::new(teller, 0, &parts);
            for _ in 0..3 {
                let again = told(group, b"one");
                assert!(
                    again.is_none() || len + LEN_BYTES == MAX_PARTS_BYTES,
                    "{len}"
                );
            }
        }
        for len in [MAX_WRITTEN_BYTES, MAX_WRITTEN_BYTES + 1] {
            let part = len.to_le_bytes();
            let parts = [&part[..]];
            let written = vec![0; len];
            for _ in 0..2 {
                told(Repeated::new(teller, 0, &parts), &written);
            }
            let kept = told(Repeated::new(teller, 0, &parts), &written);
            assert_eq!(kept.is_some(), len == MAX_WRITTEN_BYTES);
        }
    }

    #[test]
    fn what_has_the_same_hash_is_told_apart_all_the_same() {
        let teller = Teller::new();
        let of = |parts: &'static [&'static [u8]]| Repeated::new(teller, 1, parts);
        let mut known = Group::default();
        known.take_over(of(&[b"ab", b"c"]), 7, b"", Shape::default());
        assert!(known.is(of(&[b"ab", b"c"]), 7));
        let others = [
            of(&[b"ab", b"d"]),
            of(&[b"a", b"bc"]),
            of(&[b"ab", b"c", b""]),
            of(&[b"ab"]),
            of(&[b"", b"ab", b"c"]),
            of(&[]),
            Repeated::new(teller, 2, &[b"ab", b"c"]),
            Repeated::new(Teller::new(), 1, &[b"ab", b"c"]),
        ];
        for other in others {
            assert!(!known.is(other, 7), "{other:?}");
        }
    }

    #[test]
    fn parts_are_the_same_by_every_byte() {
        for len in 0..70 {
            let mut bytes = vec![b'a'; len];
            let usual = bytes.clone();
            assert!(is_same(&bytes, &usual));
            for at in 0..len {
                for other in [0, b'b', 0xff] {
                    bytes[at] = other;
                    assert!(!is_same(&bytes, &usual), "{at} of {len}");
                }
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn hashes_are_of_every_byte() {
        let teller = Teller::new();
        let hash_of = |form, bytes: &[u8]| hash(Repeated::new(teller, form, &[bytes]));
        for len in 0..70 {
            let mut bytes = vec![b'a'; len];
            let usual = hash_of(0, &bytes);
            assert_ne!(hash_of(1, &bytes), usual);
            for at in 0..len {
                bytes[at] = b'b';
                assert_ne!(hash_of(0, &bytes), usual, "{at} of {len}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn those_that_come_once_drive_nobody_out() {
        let teller = Teller::new();
        let agent =
            |version: u32| format!("Mozilla/5.0 (X11) Chrome/{version:05}.0.0.0 Safari/537.36");
        let usual = agent(0);
        let parts = [usual.as_bytes()];
        let usual = Repeated::new(teller, 0, &parts);
        for _ in 0..2 {
            told(usual, b"usual");
        }
        for version in 1..10_000 {
            let agent = agent(version);
            let parts = [agent.as_bytes()];
            assert_eq!(told(Repeated::new(teller, 0, &parts), b"once"), None);
        }
        assert!(told(usual, b"usual").is_some());
    }

    #[test]
    fn what_differs_in_the_middle_has_places_of_its_own() {
        let teller = Teller::new();
        let hosts: Vec<_> = (0..8)
            .map(|n| format!("customer-{n:04}.api.example.com"))
            .collect();
        let send = || {
            let each = hosts.iter().filter(|host| {
                told(
                    Repeated::new(teller, 0, &[host.as_bytes()]),
                    host.as_bytes(),
                )
                .is_some()
            });
            each.count()
        };
        for _ in 0..3 {
            send();
        }
        // Some may share a set all the same.
        assert!(send() >= 4);
    }

    proptest! {
        /// Whatever shares a set, and however parts are cut: nobody gets what is somebody else's.
        #[test]
        fn nobody_gets_what_is_not_its_own(
            steps in proptest::collection::vec((0..3_usize, 0..2_u64, proptest::collection::vec("[ab]{0,10}", 0..4)), 0..400),
        ) {
            let tellers = [Teller::new(), Teller::new(), Teller::new()];
            for (teller, form, parts) in steps {
                let written = format!("{teller} {form} {parts:?}");
                let parts: Vec<_> = parts.iter().map(String::as_bytes).collect();
                let group = Repeated::new(tellers[teller], form, &parts);
                if let Some(again) = told(group, written.as_bytes()) {
                    prop_assert_eq!(again, [b"before", written.as_bytes()].concat());
                }
            }
        }
    }
}
