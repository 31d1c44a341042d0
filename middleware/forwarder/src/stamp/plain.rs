//! The short way over attributes that look like nearly all do.

use super::schema;

/// Splits a plain attribute off the front of `fields`: gives its key, and what is behind it.
///
/// Plain is what encoders make of a key and a scalar value: both once, in this order, the text ASCII,
/// every length in one byte. What is not plain need not be wrong; it has to go the long way.
///
/// `attributes` is the number of the field that holds attributes, below 16.
#[inline]
pub(super) fn split_plain(fields: &[u8], attributes: u32) -> Option<(&[u8], &[u8])> {
    let (pair, behind) = split_short(fields, attributes)?;
    let (key, value_field) = split_short(pair, schema::KEY)?;
    let (value, nothing) = split_short(value_field, schema::VALUE)?;
    let text = match value {
        [STRING_VALUE, len, text @ ..] if *len < 0x80 && text.len() == usize::from(*len) => pair,
        // As every decoder ends a varint at its first byte below 0x80, and nothing is behind it here.
        [BOOL_VALUE | INT_VALUE, varint @ .., last]
            if *last < 0x80 && varint.len() < 9 && varint.iter().all(|byte| *byte >= 0x80) =>
        {
            key
        }
        [DOUBLE_VALUE, double @ ..] if double.len() == 8 => key,
        _ => return None,
    };
    (nothing.is_empty() && text.is_ascii()).then_some((key, behind))
}

/// Splits a length-delimited field off, if it is `number` and its length takes one byte.
#[inline]
fn split_short(fields: &[u8], number: u32) -> Option<(&[u8], &[u8])> {
    match fields {
        [key, len, rest @ ..] if u32::from(*key) == number << 3 | 2 && *len < 0x80 => {
            rest.split_at_checked(usize::from(*len))
        }
        _ => None,
    }
}

/// Keys of the fields of an `AnyValue`.
const STRING_VALUE: u8 = 1 << 3 | 2;
const BOOL_VALUE: u8 = 2 << 3;
const INT_VALUE: u8 = 3 << 3;
const DOUBLE_VALUE: u8 = 4 << 3 | 1;

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: u32 = 9;

    /// An attribute of key `k` and this value, which is taken as it is; then another field.
    fn split(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut pair = vec![0x0a, 1, b'k', 0x12, value.len() as u8];
        pair.extend_from_slice(value);
        let mut fields = vec![0x4a, pair.len() as u8];
        fields.extend(pair);
        fields.extend([0x50, 1]);
        split_plain(&fields, ATTRIBUTES).map(|(key, behind)| (key.to_vec(), behind.to_vec()))
    }

    #[test]
    fn takes_scalars() {
        for value in [
            &[0x0a, 2, b'h', b'i'][..],                            // a string
            &[0x0a, 0],                                            // an empty one
            &[0x10, 1],                                            // true
            &[0x18, 0x96, 0x01],                                   // 150
            &[0x18, 255, 255, 255, 255, 255, 255, 255, 255, 0x7f], // 2^63 - 1
            &[0x21, 255, 0, 0, 0, 0, 0, 0, 0],                     // a double
        ] {
            assert_eq!(split(value), Some((vec![b'k'], vec![0x50, 1])), "{value:?}");
        }
    }

    #[test]
    fn leaves_all_other_values_to_the_long_way() {
        for (name, value) in [
            ("no value", &[][..]),
            ("text that is too short", &[0x0a, 3, b'h', b'i']),
            ("text and another field", &[0x0a, 1, b'h', 0x10, 1]),
            ("text with a long length", &[0x0a, 0x80, 0x00]),
            ("text that is not ASCII", &[0x0a, 2, 0xc3, 0xa9]),
            ("a varint that does not end", &[0x18, 0x80]),
            ("no varint", &[0x18]),
            ("two varints", &[0x18, 0x01, 0x01]),
            (
                "a varint and another field",
                &[0x18, 0x81, 0x01, 0x10, 0x01],
            ),
            (
                "a varint of ten bytes",
                &[0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0x01],
            ),
            ("a short double", &[0x21, 0, 0, 0, 0, 0, 0, 0]),
            ("a double and more", &[0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]),
            ("a list", &[0x2a, 0]),
            ("a list of pairs", &[0x32, 0]),
            ("bytes", &[0x3a, 1, 0xff]),
            ("a key of two bytes", &[0x90, 0x00, 0x01]),
        ] {
            assert_eq!(split(value), None, "{name}");
        }
    }

    #[test]
    fn leaves_all_other_pairs_to_the_long_way() {
        let plain = [0x4a, 7, 0x0a, 1, b'k', 0x12, 2, 0x10, 1];
        assert_eq!(split_plain(&plain, ATTRIBUTES), Some((&b"k"[..], &b""[..])));
        assert_eq!(split_plain(&plain, 3), None);
        for cut in 0..plain.len() {
            assert_eq!(split_plain(&plain[..cut], ATTRIBUTES), None, "{cut}");
        }
        for (name, fields) in [
            (
                "a key behind",
                &[0x4a, 10, 0x0a, 1, b'k', 0x12, 2, 0x10, 1, 0x0a, 1, b'l'][..],
            ),
            (
                "two keys",
                &[0x4a, 10, 0x0a, 1, b'k', 0x0a, 1, b'l', 0x12, 2, 0x10, 1],
            ),
            ("no key", &[0x4a, 4, 0x12, 2, 0x10, 1]),
            (
                "the value first",
                &[0x4a, 7, 0x12, 2, 0x10, 1, 0x0a, 1, b'k'],
            ),
            (
                "a key that is not UTF-8",
                &[0x4a, 7, 0x0a, 1, 0xff, 0x12, 2, 0x10, 1],
            ),
            (
                "a long length",
                &[0x4a, 0x87, 0x00, 0x0a, 1, b'k', 0x12, 2, 0x10, 1],
            ),
            (
                "a long length of the key",
                &[0x4a, 8, 0x0a, 0x81, 0x00, b'k', 0x12, 2, 0x10, 1],
            ),
            (
                "a long length of the value",
                &[0x4a, 8, 0x0a, 1, b'k', 0x12, 0x82, 0x00, 0x10, 1],
            ),
            (
                "a value beyond its pair",
                &[0x4a, 7, 0x0a, 1, b'k', 0x12, 3, 0x10, 1, 0x50],
            ),
        ] {
            assert_eq!(split_plain(fields, ATTRIBUTES), None, "{name}");
        }
    }

    #[test]
    fn does_not_take_the_first_byte_of_a_long_length_for_all_of_it() {
        // 1287 bytes of something; the second byte of that, and 134 more, make up a pair.
        let mut fields = vec![0x4a, 0x87, 0x0a, 10];
        fields.extend([b'k'; 10]);
        fields.extend([0x12, 121, 0x0a, 119]);
        fields.extend([b'v'; 1400]);
        assert_eq!(split_plain(&fields, ATTRIBUTES), None);
    }
}
