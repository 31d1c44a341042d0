use super::wire_type;

/// The bytes that `value` takes as a varint: 1 to 10.
#[inline]
pub const fn varint_len(value: u64) -> usize {
    // One byte for each started group of seven bits; zero takes one as well. 9 / 64 is close enough
    // to 1 / 7.
    let last_bit = 63 - (value | 1).leading_zeros() as usize;
    (last_bit * 9 + 73) / 64
}

/// The bytes of a length-delimited field with a number below 16, around a payload of `len` bytes.
#[inline]
pub const fn nested_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends `value` as a minimal varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field's key.
#[inline]
pub fn put_key(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    put_varint(out, u64::from(field << 3 | wire_type));
}

/// Appends the key and the length of a length-delimited field: what stands before its payload.
#[inline]
pub fn put_len(out: &mut Vec<u8>, field: u32, len: usize) {
    put_key(out, field, wire_type::LEN);
    put_varint(out, len as u64);
}

/// [`put_len`] for payloads that mostly have from 128 bytes to 16 KiB: what stands before those takes three bytes, for which
/// one look at whether there is room is enough.
#[inline]
pub fn put_len_at_once(out: &mut Vec<u8>, field: u32, len: usize) {
    match len {
        0x80..0x4000 if field < 16 => {
            let key = (field << 3 | wire_type::LEN) as u8;
            out.extend_from_slice(&[key, len as u8 | 0x80, (len >> 7) as u8]);
        }
        _ => put_len(out, field, len),
    }
}

/// A run of bytes whose length is known when the program is compiled, put together on the stack: one look at whether
/// there is room in a vector is enough for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Run<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Run<N> {
    /// Nothing yet.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// With these behind what there is. `N` must be the sum of all: what goes beyond is left out.
    #[must_use]
    #[inline]
    pub fn with<const M: usize>(mut self, part: [u8; M]) -> Self {
        debug_assert!(self.len + M <= N, "{N} bytes are too few for {M} more");
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        if let Some(place) = rest.first_chunk_mut() {
            *place = part;
            self.len += M;
        }
        self
    }

    /// What was put together.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> Default for Run<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes that a length can take as a varint: protobuf messages end at 2 GiB.
pub const MAX_LEN_LEN: usize = 5;

/// At most what stands before a payload of a field below 16: its key and its length.
pub const NESTING_BYTES: usize = 1 + MAX_LEN_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_minimal_and_their_length_is_known_beforehand() {
        for (value, expected) in [
            (0, &[0x00][..]),
            (1, &[0x01]),
            (0x7f, &[0x7f]),
            (0x80, &[0x80, 0x01]),
            (300, &[0xac, 0x02]),
            (0x3fff, &[0xff, 0x7f]),
            (0x4000, &[0x80, 0x80, 0x01]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, expected, "{value}");
            assert_eq!(varint_len(value), expected.len(), "{value}");
        }
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(varint_len(value), out.len(), "{value}");
            }
        }
    }

    #[test]
    fn keys_and_lengths_are_the_same_at_once() {
        for field in [1, 2, 15, 16, 3000] {
            for len in [0, 1, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x3fff, 0x4000, 1 << 31] {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                put_len(&mut one, field, len);
                put_len_at_once(&mut other, field, len);
                assert_eq!(one, other, "{field}: {len}");
            }
        }
    }
}
