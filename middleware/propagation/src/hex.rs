//! Lower-case hexadecimal, the only kind that `traceparent` allows, eight digits at a time.
//!
//! Eight digits are worked on as the eight bytes of a `u64`, none of which ever carries into the next one.
//! That takes two thirds of the time of doing it digit by digit.

/// The number that `digits` spell, the most significant one first; nothing if one of them is not a
/// lower-case digit. There are at most 32.
///
/// Inlined since callers know the length, and then nothing is left of the loops.
#[inline(always)]
pub(crate) fn decode(digits: &[u8]) -> Option<u128> {
    let (first, words) = digits.as_rchunks::<8>();
    let mut padded = [b'0'; 8];
    for (place, digit) in padded.iter_mut().rev().zip(first.iter().rev()) {
        *place = *digit;
    }
    let mut number = u128::from(decode_word(padded)?);
    for word in words {
        number = number << 32 | u128::from(decode_word(*word)?);
    }
    Some(number)
}

/// Writes `number` with as many digits as `digits` has room for.
#[inline(always)]
pub(crate) fn encode(mut number: u128, digits: &mut [u8]) {
    let (first, words) = digits.as_rchunks_mut::<8>();
    for word in words.iter_mut().rev() {
        *word = encode_word(number as u32);
        number >>= 32;
    }
    let padded = encode_word(number as u32);
    for (digit, place) in first.iter_mut().rev().zip(padded.iter().rev()) {
        *digit = *place;
    }
}

const fn decode_word(digits: [u8; 8]) -> Option<u32> {
    let digits = u64::from_be_bytes(digits);
    // `0` to `9` have their values in the low four bits, `a` to `f` theirs less nine. Bit 6 tells them apart.
    let values = (digits & LOW_BITS) + ((digits >> 6) & ONES) * 9;
    // What is no digit comes out as more than 15, or as the value of a digit that it is not.
    if values & !LOW_BITS != 0 || spell(values) != digits {
        return None;
    }
    let pairs = (values >> 4 | values) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs >> 8 | pairs) & 0x0000_ffff_0000_ffff;
    Some((quads >> 16 | quads) as u32)
}

const fn encode_word(number: u32) -> [u8; 8] {
    let number = number as u64;
    let quads = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let pairs = (quads << 8 | quads) & 0x00ff_00ff_00ff_00ff;
    let values = (pairs << 4 | pairs) & LOW_BITS;
    spell(values).to_be_bytes()
}

/// The digits for eight values that are below 16.
const fn spell(values: u64) -> u64 {
    // 118 added to more than nine sets bit 7.
    let letters = ((values + ONES * 118) >> 7) & ONES;
    values + ONES * (b'0' as u64) + letters * ((b'a' - b'0' - 10) as u64)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW_BITS: u64 = 0x0f0f_0f0f_0f0f_0f0f;

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn every_byte_survives_the_round_trip() {
        for byte in 0..=u8::MAX {
            let mut digits = [0; 2];
            encode(byte.into(), &mut digits);
            assert_eq!(digits, *format!("{byte:02x}").as_bytes());
            assert_eq!(decode(&digits), Some(byte.into()));
        }
    }

    #[test]
    fn accepts_exactly_the_sixteen_lower_case_digits_at_every_place() {
        let digits = *b"0123456789abcdeffedcba9876543210";
        for place in 0..digits.len() {
            for byte in 0..=u8::MAX {
                let mut digits = digits;
                digits[place] = byte;
                let legal = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert_eq!(decode(&digits).is_some(), legal, "{byte:#04x} at {place}");
                if legal {
                    let mut written = [0; 32];
                    encode(decode(&digits).unwrap(), &mut written);
                    assert_eq!(written, digits);
                }
            }
        }
    }

    #[test]
    fn reads_and_writes_any_number_of_digits() {
        let spelled = "0123456789abcdeffedcba9876543210";
        for len in 1..=spelled.len() {
            let digits = &spelled[..len];
            let number = u128::from_str_radix(digits, 16).unwrap();
            assert_eq!(decode(digits.as_bytes()), Some(number), "{digits}");
            let mut written = vec![0; len];
            encode(number, &mut written);
            assert_eq!(written, digits.as_bytes(), "{digits}");
        }
    }
}
