use std::cell::RefCell;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::StringValue;

/// A string value for text that comes again and again: hosts, routes, user agents, peers.
///
/// Each thread remembers the last few such texts, so that a span of a service with a steady crowd of
/// callers counts a reference instead of copying bytes. The memory is bounded: 64 texts of at
/// most 256 bytes each.
pub fn shared(text: &str) -> StringValue {
    if text.len() > LONGEST {
        return StringValue::from(text.to_owned());
    }
    RECENT
        .try_with(|recent| {
            let mut recent = recent.try_borrow_mut().ok()?;
            let known = recent.get_mut(set(text.as_bytes()))?;
            // A set keeps its texts in the order of their last use, so that two of a request's own
            // that share it do not drive each other out for ever.
            let at = known
                .iter()
                .position(|known| known.as_deref() == Some(text));
            match at {
                Some(at) => known.get_mut(..=at)?.rotate_right(1),
                None => {
                    known.rotate_right(1);
                    *known.first_mut()? = Some(Arc::from(text));
                }
            }
            known.first()?.clone()
        })
        .ok()
        .flatten()
        .map_or_else(|| StringValue::from(text.to_owned()), StringValue::from)
}

/// [`shared`] for an address, as its `Display` has it.
pub fn shared_ip(ip: IpAddr) -> StringValue {
    shared(IpText::new(ip).as_str())
}

/// Which of the sets a text belongs to: its bytes, eight at a time, multiplied and folded.
fn set(text: &[u8]) -> usize {
    let hash = text.chunks(8).fold(text.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    (hash >> (u64::BITS - SETS.ilog2())) as usize
}

/// An address as its `Display` has it, without allocating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpText {
    bytes: [u8; LONGEST_IP],
    len: usize,
}

impl IpText {
    /// The text of this address.
    pub(crate) fn new(ip: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; LONGEST_IP],
            len: 0,
        };
        // There is room for the longest of them.
        let _ = match ip {
            // By hand: the machinery of formatting takes a tenth of what a recorded request takes.
            IpAddr::V4(ip) => text.write_octets(ip.octets()),
            IpAddr::V6(ip) => write!(text, "{ip}"),
        };
        text
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        self.bytes
            .get(..self.len)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    fn write_octets(&mut self, octets: [u8; 4]) -> fmt::Result {
        for (index, octet) in octets.into_iter().enumerate() {
            if index > 0 {
                self.write_byte(b'.')?;
            }
            if octet >= 100 {
                self.write_byte(b'0' + octet / 100)?;
            }
            if octet >= 10 {
                self.write_byte(b'0' + octet / 10 % 10)?;
            }
            self.write_byte(b'0' + octet % 10)?;
        }
        Ok(())
    }

    fn write_byte(&mut self, byte: u8) -> fmt::Result {
        *self.bytes.get_mut(self.len).ok_or(fmt::Error)? = byte;
        self.len += 1;
        Ok(())
    }
}

impl Write for IpText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// A power of two: the hash is cut to it.
const SETS: usize = 16;

const WAYS: usize = 4;

const LONGEST: usize = 256;

/// An IPv6 address with a mapped IPv4 address takes 45.
const LONGEST_IP: usize = 48;

thread_local! {
    static RECENT: RefCell<[[Option<Arc<str>>; WAYS]; SETS]> =
        const { RefCell::new([const { [const { None }; WAYS] }; SETS]) };
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn text_comes_back_as_it_went_in_whatever_shares_its_set() {
        for round in 0..3 {
            for n in 0..1_000 {
                let text = format!("agent/{n}");
                assert_eq!(shared(&text).as_str(), text, "{round}");
            }
        }
        for len in [0, 1, 7, 8, 9, LONGEST, LONGEST + 1, 100_000] {
            let text = "x".repeat(len);
            assert_eq!(shared(&text).as_str(), text);
        }
    }

    #[test]
    fn text_that_comes_again_is_the_same_memory() {
        let (first, second) = (shared("curl/8.7.1"), shared("curl/8.7.1"));
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
    }

    /// Texts that all belong to the same set.
    fn of_one_set(count: usize) -> Vec<String> {
        let texts = (0..).map(|n| format!("agent/{n}"));
        texts
            .filter(|text| set(text.as_bytes()) == 0)
            .take(count)
            .collect()
    }

    #[test]
    fn as_many_texts_as_a_set_holds_take_turns_in_it() {
        let texts = of_one_set(WAYS);
        let first: Vec<_> = texts.iter().map(|text| shared(text)).collect();
        for _ in 0..3 {
            for (text, first) in texts.iter().zip(&first) {
                assert!(std::ptr::eq(shared(text).as_str(), first.as_str()));
            }
        }
    }

    #[test]
    fn the_text_that_was_longest_unused_makes_room() {
        let texts = of_one_set(WAYS + 1);
        let (newcomer, texts) = texts.split_last().unwrap();
        let first: Vec<_> = texts.iter().map(|text| shared(text)).collect();
        shared(&texts[0]);
        shared(newcomer);
        let kept = |at: usize| std::ptr::eq(shared(&texts[at]).as_str(), first[at].as_str());
        assert!(kept(0) && kept(2) && kept(3));
        assert!(!kept(1));
    }

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        for octet in 0..=u8::MAX {
            for ip in [
                Ipv4Addr::new(octet, 0, 9, 255),
                Ipv4Addr::new(10, octet, 99, octet),
                Ipv4Addr::new(1, 2, 3, octet),
            ] {
                assert_eq!(shared_ip(ip.into()).as_str(), ip.to_string());
            }
        }
        let longest = "::ffff:255.255.255.255".parse().unwrap();
        for ip in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::from(u128::MAX), longest] {
            assert_eq!(shared_ip(ip.into()).as_str(), ip.to_string());
        }
    }

    #[test]
    fn the_sets_are_all_used() {
        let mut used = [false; SETS];
        for n in 0..1_000 {
            used[set(format!("10.0.0.{n}").as_bytes())] = true;
        }
        assert!(used.iter().all(|used| *used));
    }
}
