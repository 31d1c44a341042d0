//! What is neither an object nor a list.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Error, MapAccess, Visitor};
use towline_otlp::wire::{put_key, put_len, put_varint, varint_len, wire_type};

use super::schema::{Field, Form};
use super::transcode::{Output, key_len};

/// Writes a value that is a string, a number or a truth value.
pub(super) struct Scalar<'a> {
    field: &'static Field,
    output: &'a mut Output,
}

/// A number, from JSON's text: the widest of what it can be.
#[derive(Clone, Copy)]
enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

// === impl Scalar ===

impl<'a> Scalar<'a> {
    pub(super) const fn new(field: &'static Field, output: &'a mut Output) -> Self {
        Self { field, output }
    }

    fn number<E: Error>(self, number: Number) -> Result<(), E> {
        match self.field.form {
            Form::Int64 => {
                let value = number.signed().ok_or_else(|| self.unexpected())?;
                self.varint(value as u64)
            }
            Form::Enum(_) => {
                let value = number.signed().and_then(|value| i32::try_from(value).ok());
                let value = value.ok_or_else(|| self.unexpected())?;
                // Negative ones are written as if they had 64 bits.
                self.varint(i64::from(value) as u64)
            }
            Form::Uint32 => {
                let value = number.unsigned_32().ok_or_else(|| self.unexpected())?;
                self.varint(u64::from(value))
            }
            Form::Fixed32 => {
                let value = number.unsigned_32().ok_or_else(|| self.unexpected())?;
                let is_default = value == 0;
                self.fixed(wire_type::FIXED32, &value.to_le_bytes(), is_default)
            }
            Form::Fixed64 => {
                let value = number.unsigned().ok_or_else(|| self.unexpected())?;
                let is_default = value == 0;
                self.fixed(wire_type::FIXED64, &value.to_le_bytes(), is_default)
            }
            Form::Double => {
                let value = number.float();
                let is_default = value.to_bits() == 0;
                self.fixed(wire_type::FIXED64, &value.to_le_bytes(), is_default)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn varint<E: Error>(self, value: u64) -> Result<(), E> {
        if value == 0 && !self.field.explicit {
            return Ok(());
        }
        let len = key_len(self.field.number) + varint_len(value);
        self.output.write(len, |out| {
            put_key(out, self.field.number, wire_type::VARINT);
            put_varint(out, value);
        })
    }

    fn fixed<E: Error>(self, wire_type: u32, bytes: &[u8], is_default: bool) -> Result<(), E> {
        if is_default && !self.field.explicit {
            return Ok(());
        }
        let len = key_len(self.field.number) + bytes.len();
        self.output.write(len, |out| {
            put_key(out, self.field.number, wire_type);
            out.extend_from_slice(bytes);
        })
    }

    fn bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        // The elements of a list are there, empty or not.
        let explicit = self.field.explicit || matches!(self.field.form, Form::Texts);
        if bytes.is_empty() && !explicit {
            return Ok(());
        }
        let len = key_len(self.field.number) + varint_len(bytes.len() as u64);
        self.output.write(len.saturating_add(bytes.len()), |out| {
            put_len(out, self.field.number, bytes.len());
            out.extend_from_slice(bytes);
        })
    }

    #[cold]
    fn unexpected<E: Error>(&self) -> E {
        E::custom(format_args!("expected {}", Expected(self.field)))
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Expected(self.field))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.form {
            Form::Bool => self.varint(u64::from(value)),
            _ => Err(self.unexpected()),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(Number::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(Number::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(Number::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.field.form {
            Form::Text | Form::Texts => self.bytes(text.as_bytes()),
            Form::Base64 => {
                // Either alphabet, padded or not.
                let engine = match text.contains(['-', '_']) {
                    true => &URL_SAFE_ENGINE,
                    false => &STANDARD_ENGINE,
                };
                let bytes = engine.decode(text).map_err(|_| self.unexpected())?;
                self.bytes(&bytes)
            }
            Form::Id => {
                let bytes = hexadecimal(text).ok_or_else(|| self.unexpected())?;
                self.bytes(&bytes)
            }
            Form::Enum(names) => match names.iter().position(|name| *name == text) {
                Some(number) => self.varint(number as u64),
                None => match Number::parse(text) {
                    Some(number) => self.number(number),
                    // A name of a later version: protobuf leaves such a field out.
                    None => Ok(()),
                },
            },
            Form::Double if text == "NaN" => self.number(Number::Float(f64::NAN)),
            Form::Double if text == "Infinity" => self.number(Number::Float(f64::INFINITY)),
            Form::Double if text == "-Infinity" => self.number(Number::Float(f64::NEG_INFINITY)),
            Form::Int64 | Form::Uint32 | Form::Fixed32 | Form::Fixed64 | Form::Double => {
                let number = Number::parse(text).ok_or_else(|| self.unexpected())?;
                self.number(number)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A number, where `arbitrary_precision` is on: see [`NUMBER_KEY`].
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let number = match map.next_key::<Cow<'de, str>>()? {
            Some(key) if key == NUMBER_KEY => map.next_value::<Cow<'de, str>>()?,
            _ => return Err(self.unexpected()),
        };
        let number = Number::parse(&number).ok_or_else(|| self.unexpected())?;
        self.number(number)
    }
}

// === impl Number ===

impl Number {
    /// A number in a string, by JSON's rules.
    fn parse(text: &str) -> Option<Self> {
        // No JSON number is longer and exact, and none of them begins or ends with space.
        if text.len() > MAX_NUMBER_BYTES || text.trim_ascii() != text {
            return None;
        }
        let number: serde_json::Number = serde_json::from_str(text).ok()?;
        number
            .as_u64()
            .map(Self::Unsigned)
            .or_else(|| number.as_i64().map(Self::Signed))
            .or_else(|| number.as_f64().map(Self::Float))
    }

    fn signed(self) -> Option<i64> {
        match self {
            Self::Unsigned(value) => i64::try_from(value).ok(),
            Self::Signed(value) => Some(value),
            Self::Float(value) => whole(value).and_then(|value| i64::try_from(value).ok()),
        }
    }

    fn unsigned(self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Float(value) => whole(value).and_then(|value| u64::try_from(value).ok()),
        }
    }

    fn unsigned_32(self) -> Option<u32> {
        self.unsigned().and_then(|value| u32::try_from(value).ok())
    }

    const fn float(self) -> f64 {
        match self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// A float that is an integer: protobuf takes `1e3` and `5.0` for one.
fn whole(value: f64) -> Option<i128> {
    // Within these bounds the conversion is exact.
    (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128)
}

/// Bytes by two digits each, in either case.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

/// What a field should have held.
struct Expected(&'static Field);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.form {
            Form::Message(_) => "an object",
            Form::Messages(_) => "a list of objects",
            Form::Text => "a string",
            Form::Texts => "a list of strings",
            Form::Base64 => "bytes in base64",
            Form::Id => "bytes in hexadecimal",
            Form::Bool => "true or false",
            Form::Int64 => "a 64-bit integer",
            Form::Uint32 | Form::Fixed32 => "an unsigned 32-bit integer",
            Form::Fixed64 => "an unsigned 64-bit integer",
            Form::Double => "a number",
            Form::Enum(_) => "a number or a name of the enumeration",
        };
        write!(f, "{what} for {}", self.0.name)
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

const STANDARD_ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL_SAFE_ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Where anybody in the program has switched serde_json's `arbitrary_precision` on, a number comes as
/// an object with this key alone, and the number as text.
pub(super) const NUMBER_KEY: &str = "$serde_json::private::Number";

const MAX_NUMBER_BYTES: usize = 64;
