//! The walk over JSON that writes protobuf.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use towline_otlp::wire::{put_key, put_varint, varint_len, wire_type};

use super::scalar::{NUMBER_KEY, Scalar};
use super::schema::{Field, Form, Schema};
use crate::failure::Failure;
use crate::limits::Bounded;

/// What has been written, up to a limit.
pub(super) struct Output {
    buffer: Bounded,
    /// Why nothing more could be written: readers of JSON can only say that they failed.
    refused: Option<Failure>,
}

/// Writes the fields of a JSON object as those of a message.
pub(super) struct Transcode<'a> {
    schema: &'static Schema,
    output: &'a mut Output,
}

/// Writes one field.
struct Value<'a> {
    field: &'static Field,
    output: &'a mut Output,
}

/// Writes the elements of a list, each as a field.
struct Elements<'a>(Value<'a>);

/// Looks a key up; there is nothing to keep of one that is not known.
struct Key(&'static Schema);

/// A value that may be `null`.
struct Nullable<S>(S);

// === impl Output ===

impl Output {
    pub(super) const fn new(buffer: Bounded) -> Self {
        Self {
            buffer,
            refused: None,
        }
    }

    /// Why it ended before the JSON did, if it did.
    pub(super) const fn take_refused(&mut self) -> Option<Failure> {
        self.refused.take()
    }

    pub(super) fn into_buffer(self) -> Bounded {
        self.buffer
    }

    /// Has `write` append so many bytes, if there is room for them.
    pub(super) fn write<E: Error>(
        &mut self,
        bytes: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), E> {
        self.buffer.grow(bytes).map_err(|failure| {
            self.refused = Some(failure);
            E::custom("there is no room")
        })?;
        write(self.buffer.bytes_mut());
        Ok(())
    }

    /// Writes a message of that number: its length is known when it is there.
    fn nested<E: Error>(
        &mut self,
        number: u32,
        content: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.write(key_len(number) + 1, |out| {
            put_key(out, number, wire_type::LEN);
            out.push(0);
        })?;
        let start = self.buffer.bytes_mut().len();
        content(self)?;
        let len = self.buffer.bytes_mut().len() - start;
        let len_bytes = varint_len(len as u64);
        self.write(len_bytes - 1, |out| {
            if len_bytes == 1 {
                if let Some(place) = out.get_mut(start - 1) {
                    *place = len as u8;
                }
            } else {
                let mut varint = Vec::with_capacity(len_bytes);
                put_varint(&mut varint, len as u64);
                out.splice(start - 1..start, varint);
            }
        })
    }
}

// === impl Transcode ===

impl<'a> Transcode<'a> {
    pub(super) const fn new(schema: &'static Schema, output: &'a mut Output) -> Self {
        Self { schema, output }
    }
}

impl<'de> DeserializeSeed<'de> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // And not as a map: if it is none, the error would hold all that it is.
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object for {}", self.schema.name)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(unexpected_text(&self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Key(self.schema))? {
            match field {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(field) => {
                    let output = &mut *self.output;
                    map.next_value_seed(Nullable(Value { field, output }))?;
                }
            }
        }
        Ok(())
    }
}

// === impl Key ===

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        if name == NUMBER_KEY {
            return Err(E::custom("expected an object, and not a number"));
        }
        Ok(self.0.field(name))
    }
}

// === impl Nullable ===

impl<'de, S: DeserializeSeed<'de, Value = ()>> DeserializeSeed<'de> for Nullable<S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for Nullable<S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.deserialize(deserializer)
    }
}

// === impl Value ===

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.field.form {
            Form::Messages(_) | Form::Texts => deserializer.deserialize_any(Elements(self)),
            Form::Message(_) => self.element(deserializer),
            _ => deserializer.deserialize_any(Scalar::new(self.field, self.output)),
        }
    }
}

impl<'a> Value<'a> {
    /// One message, in a list or alone, or one text of a list.
    fn element<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.field.form {
            Form::Message(schema) | Form::Messages(schema) => {
                self.output.nested(self.field.number, |output| {
                    Transcode::new(schema, output).deserialize(deserializer)
                })
            }
            _ => deserializer.deserialize_any(Scalar::new(self.field, self.output)),
        }
    }
}

// === impl Elements ===

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list for {}", self.0.field.name)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(unexpected_text(&self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Value { field, output } = self.0;
        loop {
            let value = Value {
                field,
                output: &mut *output,
            };
            if seq.next_element_seed(Element(value))?.is_none() {
                return Ok(());
            }
        }
    }
}

struct Element<'a>(Value<'a>);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.element(deserializer)
    }
}

/// As of any other type, but without the text.
#[cold]
fn unexpected_text<E: Error>(expected: &dyn Expected) -> E {
    E::invalid_type(Unexpected::Other("string"), expected)
}

/// How many bytes the key of a field takes.
pub(super) const fn key_len(number: u32) -> usize {
    varint_len((number << 3) as u64)
}
