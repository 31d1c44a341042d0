use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::TraceId;

/// What the last traces were answered, each in one atomic word of a table.
#[derive(Debug, Default)]
pub(super) struct Recent {
    table: OnceLock<Table>,
}

#[derive(Debug)]
struct Table {
    /// Callers choose trace ids; they shall not choose who shares a place with whom.
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

/// The word of one place: who, since when, how many more requests, and whether it was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u64);

// === impl Recent ===

impl Recent {
    /// The answer that this trace had, or the one that it gets now.
    pub(super) fn answer(&self, trace_id: TraceId, now: u64, take: impl FnOnce() -> bool) -> bool {
        let table = self.table.get_or_init(Table::new);
        let hash = table.hasher.hash_one(trace_id);
        let Some(place) = table.places.get(hash as usize % PLACES) else {
            return take();
        };
        let (who, now) = (Entry::who(hash), Entry::seconds(now));
        let known = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            let entry = Entry(bits);
            if entry.is_of(who, now) {
                entry.used().map(|entry| entry.0)
            } else {
                None
            }
        });
        let before = match known {
            Ok(_) => return true,
            Err(bits) => Entry(bits),
        };
        if before.is_of(who, now) && !before.is_admitted() {
            return false;
        }
        let admitted = take();
        // A flood of those that are refused must not drive out the ones that were admitted.
        let kept =
            !admitted && before.is_fresh(now) && before.is_admitted() && !before.is_of(who, now);
        if !kept {
            place.store(Entry::new(who, now, admitted).0, Ordering::Relaxed);
        }
        admitted
    }
}

// === impl Table ===

impl Table {
    fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

// === impl Entry ===

impl Entry {
    fn new(who: u64, now: u64, admitted: bool) -> Self {
        let left = if admitted { REQUESTS - 1 } else { 0 };
        Self(who | now << 8 | u64::from(left) << 1 | u64::from(admitted))
    }

    /// The upper half of the hash, never zero, which is nobody.
    const fn who(hash: u64) -> u64 {
        (hash >> 32 | 1) << 32
    }

    /// In 24 bits; they come around after half a year.
    const fn seconds(nanos: u64) -> u64 {
        (nanos / 1_000_000_000) & SECONDS
    }

    const fn is_of(self, who: u64, now: u64) -> bool {
        self.0 >> 32 << 32 == who && self.is_fresh(now)
    }

    const fn is_fresh(self, now: u64) -> bool {
        self.0 != 0 && now.wrapping_sub(self.0 >> 8) & SECONDS < KEPT_SECONDS
    }

    const fn is_admitted(self) -> bool {
        self.0 & 1 == 1
    }

    /// The same with room for one request less, if there is room.
    fn used(self) -> Option<Self> {
        let left = self.0 >> 1 & 0x7f;
        (self.is_admitted() && left > 0).then(|| Self(self.0 - 2))
    }
}

/// At most 128: seven bits count those that are left.
pub(super) const REQUESTS: u32 = 32;

/// Eight bytes each.
const PLACES: usize = 1024;

const KEPT_SECONDS: u64 = 60;

const SECONDS: u64 = 0xff_ffff;
