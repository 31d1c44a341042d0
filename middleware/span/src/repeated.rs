//! Groups of attributes that come again and again.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::Recording;
use crate::shared::IpText;

/// Says which group of attributes is meant: see [`Recording::repeated`](crate::Recording::repeated).
///
/// Two of them mean the same if the teller, the form and all parts are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repeated<'a> {
    /// Who tells it, and everything that does not change from one time to the next.
    pub teller: Teller,
    /// What can be said by a number, such as which parts there are, or which of a few methods it is: whatever the teller
    /// wants it to mean.
    pub form: u64,
    /// Everything else that the attributes depend on, one by one.
    pub parts: &'a [&'a [u8]],
}

/// Tells groups of attributes by the same rules every time. Rules that have changed are another teller's.
///
/// A copy is the same teller; [`new`](Self::new) and [`default`](Self::default) make one that there has never been. So it is
/// to be made once, with a layer, and not for each connection: what nobody has told before is never found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Teller(u64);

/// The keys of attributes that have one address as their text: see [`Recording::address`](crate::Recording::address).
///
/// To be made once and for all, as a `static`: what is told by another is never found again.
///
/// ```
/// use towline_span::{AddressKeys, Described, Recording};
///
/// static PEER: AddressKeys = AddressKeys::new(&["network.peer.address"]);
///
/// let mut told = Described::with_capacity(1);
/// told.address(&PEER, [192, 0, 2, 1].into());
/// let attributes = told.into_builder().attributes.unwrap_or_default();
/// assert_eq!(attributes[0].value.as_str(), "192.0.2.1");
/// ```
#[derive(Debug)]
pub struct AddressKeys {
    keys: &'static [&'static str],
    teller: LazyLock<Teller>,
}

// === impl Repeated ===

impl<'a> Repeated<'a> {
    /// What this teller says in this form of these parts.
    #[must_use]
    pub const fn new(teller: Teller, form: u64, parts: &'a [&'a [u8]]) -> Self {
        Self {
            teller,
            form,
            parts,
        }
    }

    /// A form of up to eight small numbers.
    #[must_use]
    pub fn form_of<const N: usize>(numbers: [u8; N]) -> u64 {
        const { assert!(N <= size_of::<u64>(), "a form has room for eight") };
        let mut form = [0; size_of::<u64>()];
        for (place, number) in form.iter_mut().zip(numbers) {
            *place = number;
        }
        u64::from_le_bytes(form)
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

// === impl AddressKeys ===

impl AddressKeys {
    /// Attributes with these keys.
    #[must_use]
    pub const fn new(keys: &'static [&'static str]) -> Self {
        Self {
            keys,
            teller: LazyLock::new(Teller::new),
        }
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &'static [&'static str] {
        self.keys
    }

    /// An address as a group of attributes, and what tells them.
    pub(crate) fn with<R>(
        &self,
        ip: IpAddr,
        tell: impl FnOnce(Repeated<'_>, &mut dyn FnMut(&mut dyn Recording)) -> R,
    ) -> R {
        let mut attributes = |into: &mut dyn Recording| {
            into.frequent_texts(self.keys, IpText::new(ip).as_str());
        };
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                let form = Repeated::form_of([4, a, b, c, d]);
                tell(Repeated::new(*self.teller, form, &[]), &mut attributes)
            }
            IpAddr::V6(ip) => {
                let octets = ip.octets();
                let form = Repeated::form_of([6]);
                tell(
                    Repeated::new(*self.teller, form, &[&octets]),
                    &mut attributes,
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_every_number_in_a_place_of_its_own() {
        assert_eq!(Repeated::form_of([]), 0);
        assert_eq!(Repeated::form_of([1, 2, 0, 3]), 0x0300_0201);
        assert_eq!(Repeated::form_of([0xff; 8]), u64::MAX);
        assert_ne!(Repeated::form_of([0, 1]), Repeated::form_of([1, 0]));
    }

    #[test]
    fn a_teller_is_only_like_its_copies() {
        let (one, other) = (Teller::new(), Teller::default());
        let copy = one;
        assert_eq!(one, copy);
        assert_ne!(one, other);
        assert_ne!(one.id(), other.id());
        assert_ne!(
            Repeated::new(one, 0, &[b"ab", b""]),
            Repeated::new(one, 0, &[b"a", b"b"])
        );
        assert_ne!(Repeated::new(one, 0, &[]), Repeated::new(one, 1, &[]));
    }
}
