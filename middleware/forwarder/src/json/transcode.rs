//! The walk over JSON that writes protobuf.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use towline_otlp::wire::{put_key, put_varint, varint_len, wire_type};

use super::scalar::Scalar;
use super::schema::{Field, Form, Schema};

/// What has been written, up to a limit.
pub(super) struct Output {
    bytes: Vec<u8>,
    max_bytes: usize,
    full: bool,
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
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self {
            bytes: vec![],
            max_bytes,
            full: false,
        }
    }

    /// Whether it was too much.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Has `write` append, and stops when it has become too much. It appends one value.
    pub(super) fn write<E: Error>(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), E> {
        write(&mut self.bytes);
        self.check()
    }

    /// Writes a message of that number: its length is known when it is there.
    fn nested<E: Error>(
        &mut self,
        number: u32,
        content: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        put_key(&mut self.bytes, number, wire_type::LEN);
        let start = self.bytes.len();
        self.bytes.push(0);
        content(self)?;
        let len = self.bytes.len() - start - 1;
        let len_bytes = varint_len(len as u64);
        if len_bytes == 1 {
            if let Some(place) = self.bytes.get_mut(start) {
                *place = len as u8;
            }
        } else {
            let mut varint = Vec::with_capacity(len_bytes);
            put_varint(&mut varint, len as u64);
            self.bytes.splice(start..=start, varint);
        }
        self.check()
    }

    fn check<E: Error>(&mut self) -> Result<(), E> {
        if self.bytes.len() > self.max_bytes {
            self.full = true;
            return Err(E::custom("too large"));
        }
        Ok(())
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
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object for {}", self.schema.name)
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
            Form::Messages(_) | Form::Texts => deserializer.deserialize_seq(Elements(self)),
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
