//! One `key=value` of the list.

use std::str;

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

    /// Reads one member that has no white space around it.
    pub(super) fn parse(member: &'a [u8]) -> Result<Self, Kind> {
        let separator = member
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or(Kind::NoValue)?;
        let (key, value) = member.split_at(separator);
        // `value` begins with the separator.
        Self::new(key, value.get(1..).unwrap_or_default())
    }

    pub(super) fn new(key: &'a [u8], value: &'a [u8]) -> Result<Self, Kind> {
        let ([b'a'..=b'z' | b'0'..=b'9', rest @ ..], true) = (key, key.len() <= MAX_PART_BYTES)
        else {
            return Err(Kind::Key);
        };
        if !rest.iter().copied().all(is_key_byte) {
            return Err(Kind::Key);
        }
        let ([.., b'!'..=b'~'], true) = (value, value.len() <= MAX_PART_BYTES) else {
            return Err(Kind::Value);
        };
        if !value.iter().copied().all(is_value_byte) {
            return Err(Kind::Value);
        }
        Ok(Self {
            key: str::from_utf8(key).map_err(|_| Kind::Key)?,
            value: str::from_utf8(value).map_err(|_| Kind::Value)?,
        })
    }

    /// The bytes it takes in the header, without a comma.
    pub(super) const fn encoded_len(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }
}

const fn is_key_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@')
}

const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=')
}

/// The most bytes of a key, and of a value.
const MAX_PART_BYTES: usize = 256;
