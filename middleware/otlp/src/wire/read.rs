use std::error::Error;
use std::fmt;

use super::{MAX_LEN_LEN, wire_type};

/// Messages and groups nested deeper than this are refused: the limit that common protobuf decoders
/// set.
pub const MAX_DEPTH: usize = 100;

/// Walks the fields of one message.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// How deep groups may nest in what is left.
    depth: usize,
    /// The most bytes that a key or a length may take.
    head_bytes: usize,
}

/// One field as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Its number in the message's definition: 1 to 2^29 - 1.
    pub number: u32,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// What a field carries.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// An integer, an enumeration or a truth value.
    Varint(u64),
    /// Eight bytes, skipped.
    Fixed64,
    /// Four bytes, skipped.
    Fixed32,
    /// A string, bytes, a nested message or packed scalars.
    Len(&'a [u8]),
    /// A group, skipped whole: OTLP has none, yet a decoder steps over unknown ones.
    Group,
}

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A varint that does not end within the bytes that it may take, or overflows.
    Varint,
    /// A field number of 0 or beyond 2^29 - 1, or a wire type that does not exist.
    Key,
    /// A field that goes past the end of its message.
    Truncated,
    /// A group that does not end, ends twice, or nests too deep.
    Group,
    /// A field whose wire type is not that of its definition.
    WireType,
    /// A string that is not UTF-8.
    Utf8,
    /// Messages that nest deeper than [`MAX_DEPTH`].
    Depth,
    /// An id that has not the length of one.
    Id,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads what a conforming decoder reads.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            depth: MAX_DEPTH,
            head_bytes: MAX_VARINT_LEN,
        }
    }

    /// Reads what every decoder reads, and each in the same way.
    ///
    /// Groups are refused: OTLP has none, and not every decoder knows where one ends. So are keys and
    /// lengths of more than five bytes: some decoders look at the lower 32 bits only.
    #[must_use]
    pub const fn strict(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            depth: 0,
            head_bytes: MAX_LEN_LEN,
        }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn varint(&mut self, max_bytes: usize) -> Result<u64, Malformed> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(max_bytes),
        }
    }

    fn long_varint(&mut self, max_bytes: usize) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().enumerate().take(max_bytes) {
            // The tenth byte has room for one bit only.
            if index == 9 && byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.skip(index + 1)?;
                return Ok(value);
            }
        }
        Err(if self.rest.len() < max_bytes {
            Malformed::Truncated
        } else {
            Malformed::Varint
        })
    }

    #[inline]
    fn skip(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u32), Malformed> {
        // A key is a 32-bit varint: what is longer does not exist.
        let key = u32::try_from(self.varint(self.head_bytes)?).map_err(|_| Malformed::Key)?;
        match key >> 3 {
            0 => Err(Malformed::Key),
            number => Ok((number, key & 7)),
        }
    }

    #[inline]
    fn payload(
        &mut self,
        number: u32,
        wire_type: u32,
        depth: usize,
    ) -> Result<Payload<'a>, Malformed> {
        Ok(match wire_type {
            wire_type::VARINT => Payload::Varint(self.varint(MAX_VARINT_LEN)?),
            wire_type::FIXED64 => {
                self.skip(8)?;
                Payload::Fixed64
            }
            wire_type::LEN => {
                let len = self.varint(self.head_bytes)?;
                let len = usize::try_from(len).map_err(|_| Malformed::Truncated)?;
                Payload::Len(self.skip(len)?)
            }
            wire_type::START_GROUP => {
                self.group(number, depth)?;
                Payload::Group
            }
            wire_type::FIXED32 => {
                self.skip(4)?;
                Payload::Fixed32
            }
            wire_type::END_GROUP => return Err(Malformed::Group),
            _ => return Err(Malformed::Key),
        })
    }

    fn group(&mut self, open: u32, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed::Group)?;
        while !self.rest.is_empty() {
            match self.key()? {
                (number, wire_type::END_GROUP) if number == open => return Ok(()),
                (number, wire_type) => self.payload(number, wire_type, depth)?,
            };
        }
        Err(Malformed::Truncated)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.key().and_then(|(number, wire_type)| {
            Ok(Field {
                number,
                payload: self.payload(number, wire_type, self.depth)?,
            })
        });
        if field.is_err() {
            // Nothing behind a broken field can be told apart.
            self.rest = &[];
        }
        Some(field)
    }
}

// === impl Malformed ===

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Varint => "a varint is too long",
            Self::Key => "a field has an impossible key",
            Self::Truncated => "a field goes past the end of its message",
            Self::Group => "a group is not balanced, or nests too deep",
            Self::WireType => "a field has another wire type than its definition",
            Self::Utf8 => "a string is not UTF-8",
            Self::Depth => "messages nest too deep",
            Self::Id => "an id has not the length of one",
        })
    }
}

impl Error for Malformed {}

/// The bytes of the longest varint.
const MAX_VARINT_LEN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
        Reader::new(bytes).collect()
    }

    #[test]
    fn reads_every_wire_type_and_steps_over_groups() {
        let bytes = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x11, 1, 2, 3, 4, 5, 6, 7, 8, // 2: fixed64
            0x1a, 0x02, b'h', b'i', // 3: "hi"
            0x23, 0x08, 0x01, 0x2b, 0x2c, 0x24, // 4: group { 1: 1, 5: group {} }
            0x35, 1, 2, 3, 4, // 6: fixed32
        ];
        let numbers: Vec<_> = fields(&bytes)
            .unwrap()
            .iter()
            .map(|field| (field.number, field.payload))
            .collect();
        assert_eq!(
            numbers,
            [
                (1, Payload::Varint(150)),
                (2, Payload::Fixed64),
                (3, Payload::Len(b"hi")),
                (4, Payload::Group),
                (6, Payload::Fixed32)
            ]
        );
    }

    #[test]
    fn takes_varints_that_are_longer_than_needed() {
        assert_eq!(
            fields(&[0x88, 0x80, 0x00, 0x81, 0x80, 0x00]).unwrap()[0].payload,
            Payload::Varint(1)
        );
    }

    #[test]
    fn refuses_what_no_decoder_takes() {
        for (name, bytes, expected) in [
            ("field number 0", &[0x00, 0x00][..], Malformed::Key),
            ("wire type 6", &[0x0e], Malformed::Key),
            (
                "key beyond 32 bits",
                &[0x88, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00],
                Malformed::Key,
            ),
            ("varint cut short", &[0x08, 0x80], Malformed::Truncated),
            (
                "varint of eleven bytes",
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
                Malformed::Varint,
            ),
            (
                "varint beyond 64 bits",
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
                Malformed::Varint,
            ),
            (
                "length past the end",
                &[0x0a, 0x05, 0x00],
                Malformed::Truncated,
            ),
            (
                "length beyond memory",
                &[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0],
                Malformed::Truncated,
            ),
            ("fixed64 cut short", &[0x09, 0, 0], Malformed::Truncated),
            (
                "group without end",
                &[0x0b, 0x08, 0x01],
                Malformed::Truncated,
            ),
            ("group without start", &[0x0c], Malformed::Group),
            ("group with another's end", &[0x0b, 0x14], Malformed::Group),
        ] {
            assert_eq!(fields(bytes), Err(expected), "{name}");
        }
    }

    #[test]
    fn groups_nest_to_a_limit() {
        let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        assert!(fields(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(fields(&nested(MAX_DEPTH + 1)), Err(Malformed::Group));
    }

    #[test]
    fn a_strict_reader_refuses_groups() {
        for bytes in [&[0x0b, 0x0c][..], &[0x0b, 0x08, 0x01, 0x0c], &[0x0c]] {
            assert_eq!(
                Reader::strict(bytes).collect::<Vec<_>>(),
                [Err(Malformed::Group)]
            );
        }
    }

    #[test]
    fn a_strict_reader_refuses_keys_and_lengths_beyond_five_bytes() {
        for (name, bytes, taken) in [
            ("key of five", &[0x88, 0x80, 0x80, 0x80, 0x00, 1][..], true),
            (
                "key of six",
                &[0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 1],
                false,
            ),
            (
                "length of five",
                &[0x0a, 0x81, 0x80, 0x80, 0x80, 0x00, 1],
                true,
            ),
            (
                "length of six",
                &[0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 1],
                false,
            ),
            (
                "value of ten",
                &[
                    0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
                ],
                true,
            ),
        ] {
            assert!(fields(bytes).is_ok(), "{name}");
            let expected = if taken {
                fields(bytes)
            } else {
                Err(Malformed::Varint)
            };
            assert_eq!(
                Reader::strict(bytes).collect::<Result<Vec<_>, _>>(),
                expected,
                "{name}"
            );
        }
    }
}
