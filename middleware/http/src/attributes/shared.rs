use std::cell::RefCell;
use std::fmt::{self, Display, Write};
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

/// [`shared`] for something short that has yet to be written out, such as an address.
pub fn shared_display(value: impl Display) -> StringValue {
    let mut text = Short {
        bytes: [0; SHORT],
        len: 0,
    };
    match write!(text, "{value}") {
        Ok(()) => shared(text.as_str()),
        Err(fmt::Error) => StringValue::from(value.to_string()),
    }
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

/// Text of at most [`SHORT`] bytes on the stack.
struct Short {
    bytes: [u8; SHORT],
    len: usize,
}

impl Short {
    fn as_str(&self) -> &str {
        self.bytes
            .get(..self.len)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl Write for Short {
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
const SHORT: usize = 64;

thread_local! {
    static RECENT: RefCell<[[Option<Arc<str>>; WAYS]; SETS]> =
        const { RefCell::new([const { [const { None }; WAYS] }; SETS]) };
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

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
    fn short_and_long_displays_are_written_out() {
        let address = Ipv6Addr::from(u128::MAX);
        assert_eq!(shared_display(address).as_str(), address.to_string());
        let long = "y".repeat(SHORT + 1);
        assert_eq!(shared_display(&long).as_str(), long);
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
