//! One `key=value` of the list.

use super::ParseTraceStateErrorKind as Kind;

/// A legal *list-member*: a key of one tracing system and its value, borrowed from where they were read.
///
/// See the [grammar](https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#list-members).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Member<'a> {
    key: &'a str,
    value: &'a str,
}

// === impl Member ===

impl<'a> Member<'a> {
    pub(super) const NOTHING: Self = Self { key: "", value: "" };

    /// The key: 1 to 256 bytes.
    #[must_use]
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// The value: 1 to 256 bytes of printable ASCII.
    #[must_use]
    pub const fn value(&self) -> &'a str {
        self.value
    }

    /// Reads the member that begins at `start` of a line, and says where what belongs to it ends: at a comma or with the
    /// line.
    ///
    /// `text` is the line, as far as it is UTF-8: no byte that is not could be part of a member.
    #[inline]
    pub(super) fn read(line: &'a [u8], text: &'a str, start: usize) -> Result<(Self, usize), Kind> {
        let key_end = end_of_run(line, start, KEY);
        let key = text.get(start..key_end).unwrap_or_default();
        if line.get(key_end) != Some(&b'=') || !is_key_len(key) || !starts_key(key) {
            let mut rest = line.iter().skip(start).take_while(|byte| **byte != b',');
            return Err(if rest.any(|byte| *byte == b'=') {
                Kind::Key
            } else {
                Kind::NoValue
            });
        }
        let value_start = key_end + 1;
        let stop = end_of_run(line, value_start, VALUE);
        let value = text.get(value_start..stop).unwrap_or_default();
        let value = without_trailing_spaces(value);
        let end = end_of_run(line, stop, WHITE_SPACE);
        if !matches!(line.get(end), None | Some(b',')) || !is_value_len(value) {
            return Err(Kind::Value);
        }
        Ok((Self { key, value }, end))
    }

    /// A member of these, if they are legal; what the API holds need not be. Spaces at the end are not part of a value.
    pub(super) fn new(key: &'a str, value: &'a str) -> Option<Self> {
        let value = without_trailing_spaces(value);
        let legal = is_key_len(key)
            && starts_key(key)
            && key.bytes().all(|byte| is(byte, KEY))
            && is_value_len(value)
            && value.bytes().all(|byte| is(byte, VALUE));
        legal.then_some(Self { key, value })
    }

    /// The bytes it takes in the header, without a comma.
    pub(super) const fn encoded_len(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }
}

/// Where the bytes of `class` that begin at `start` end.
#[inline]
pub(super) fn end_of_run(line: &[u8], start: usize, class: u8) -> usize {
    let rest = line.get(start..).unwrap_or_default();
    let run = rest.iter().position(|byte| !is(*byte, class));
    start + run.unwrap_or(rest.len())
}

fn without_trailing_spaces(mut value: &str) -> &str {
    while let Some(shorter) = value.strip_suffix(' ') {
        value = shorter;
    }
    value
}

fn is_key_len(key: &str) -> bool {
    (1..=MAX_PART_BYTES).contains(&key.len())
}

fn starts_key(key: &str) -> bool {
    matches!(key.as_bytes(), [b'a'..=b'z' | b'0'..=b'9', ..])
}

fn is_value_len(value: &str) -> bool {
    (1..=MAX_PART_BYTES).contains(&value.len())
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

/// What may stand in a key.
const KEY: u8 = 1;
/// What may stand in a value.
const VALUE: u8 = 2;
/// Spaces and tabs.
const WHITE_SPACE: u8 = 4;
/// What may stand before, behind and between members.
pub(super) const BETWEEN: u8 = 8;

/// The classes of each byte: one look instead of several comparisons.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut left: &mut [u8] = &mut classes;
    let mut byte = 0_u8;
    while let [first, rest @ ..] = left {
        *first = classes_of(byte);
        byte = byte.wrapping_add(1);
        left = rest;
    }
    classes
}

const fn classes_of(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@' => KEY | VALUE,
        b' ' => VALUE | WHITE_SPACE | BETWEEN,
        b'\t' => WHITE_SPACE | BETWEEN,
        b',' => BETWEEN,
        b'=' => 0,
        b'!'..=b'~' => VALUE,
        _ => 0,
    }
}

/// The most bytes of a key, and of a value.
const MAX_PART_BYTES: usize = 256;
