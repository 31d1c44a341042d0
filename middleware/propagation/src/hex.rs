//! Lower-case hexadecimal, the only kind that `traceparent` allows, all the digits of a header at once.
//!
//! Each digit is worked on by itself and without a branch, so that the compiler takes sixteen with every instruction.
//! It no longer does where it knows what becomes of the single bytes: hence no inlining.

/// The bytes that `digits` spell, two digits each, or nothing if one of them is not a lower-case digit.
#[inline(never)]
pub(crate) fn decode(digits: &[u8; DIGITS]) -> Option<[u8; BYTES]> {
    let values = digits.map(value);
    if values.iter().fold(0, |bits, value| bits | value) >= 16 {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(values.as_chunks::<2>().0) {
        let pair = u16::from_be_bytes(*pair);
        *byte = (pair >> 4 | pair) as u8;
    }
    Some(bytes)
}

/// The digits of `bytes`, two each.
#[inline(never)]
pub(crate) fn encode(bytes: &[u8; BYTES]) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = encode_byte(*byte);
    }
    digits
}

/// [`decode`] for a single byte.
pub(crate) const fn decode_byte([high, low]: [u8; 2]) -> Option<u8> {
    match (value(high), value(low)) {
        (high @ 0..16, low @ 0..16) => Some(high << 4 | low),
        _ => None,
    }
}

/// [`encode`] for a single byte.
pub(crate) const fn encode_byte(byte: u8) -> [u8; 2] {
    [digit(byte >> 4), digit(byte & 0x0f)]
}

/// Whether `digits` are lower-case digits.
pub(crate) fn are_digits(digits: &[u8]) -> bool {
    digits.iter().all(|digit| value(*digit) < 16)
}

const fn value(digit: u8) -> u8 {
    let (number, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

const fn digit(value: u8) -> u8 {
    value + if value < 10 { b'0' } else { b'a' - 10 }
}

/// Those of a trace id and a span id.
pub(crate) const BYTES: usize = 24;
/// Two for each byte.
pub(crate) const DIGITS: usize = 2 * BYTES;

#[cfg(test)]
mod tests {
    use super::{BYTES, DIGITS, are_digits, decode, encode};

    #[test]
    fn every_byte_survives_the_round_trip_at_every_place() {
        for place in 0..BYTES {
            for byte in 0..=u8::MAX {
                let mut bytes = [0x5a; BYTES];
                bytes[place] = byte;
                let written = encode(&bytes);
                let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(written, expected.as_bytes());
                assert_eq!(decode(&written), Some(bytes));
            }
        }
    }

    #[test]
    fn accepts_exactly_the_sixteen_lower_case_digits_at_every_place() {
        for place in 0..DIGITS {
            for byte in 0..=u8::MAX {
                let mut digits = [b'a'; DIGITS];
                digits[place] = byte;
                let legal = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert_eq!(decode(&digits).is_some(), legal, "{byte:#04x} at {place}");
                assert_eq!(are_digits(&digits), legal, "{byte:#04x} at {place}");
            }
        }
    }
}
