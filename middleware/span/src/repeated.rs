//! Groups of attributes that come again and again.

use std::sync::atomic::{AtomicU64, Ordering};

/// Says which group of attributes is meant: see [`Recording::repeated`](crate::Recording::repeated).
///
/// Two of them mean the same if the teller and all parts are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repeated<'a> {
    /// Who tells it, and everything that does not change from one time to the next.
    pub teller: Teller,
    /// Everything else that the attributes depend on, one by one.
    pub parts: &'a [&'a [u8]],
}

/// Tells groups of attributes by the same rules every time. Rules that have changed are another teller's.
///
/// A copy is the same teller; [`new`](Self::new) and [`default`](Self::default) make one that there has never been. So it is
/// to be made once, with a layer, and not for each connection: what nobody has told before is never found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Teller(u64);

// === impl Repeated ===

impl<'a> Repeated<'a> {
    /// What this teller says of these parts.
    #[must_use]
    pub const fn new(teller: Teller, parts: &'a [&'a [u8]]) -> Self {
        Self { teller, parts }
    }
}

// === impl Teller ===

impl Teller {
    /// One that is like no other in this process.
    #[must_use]
    pub fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self(MADE.fetch_add(1, Ordering::Relaxed))
    }

    /// Its number, for whoever looks groups up.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.0
    }
}

impl Default for Teller {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teller_is_only_like_its_copies() {
        let (one, other) = (Teller::new(), Teller::default());
        let copy = one;
        assert_eq!(one, copy);
        assert_ne!(one, other);
        assert_ne!(one.id(), other.id());
        assert_ne!(
            Repeated::new(one, &[b"ab", b""]),
            Repeated::new(one, &[b"a", b"b"])
        );
    }
}
