//! The JSON of an envelope.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;

/// What the headers would have been. In their order, as Go's encoder has it.
pub(super) type Fields = BTreeMap<String, String>;

/// What is in an envelope.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) fields: Fields,
    pub(super) payload: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Member {
    PropagationContext,
    Payload,
}

struct Context(Fields);

struct Payload(Vec<u8>);

struct SealedVisitor;

struct ContextVisitor;

struct PayloadVisitor;

/// How many fields a `PropagationContext` may have: 64. W3C's formats have three; what has more is no envelope.
pub const MAX_CONTEXT_FIELDS: usize = 64;

/// How many bytes the names and values of a `PropagationContext` may have: 64 KiB. W3C's formats stay below 13 KiB; what
/// has more is no envelope.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;

pub(super) fn encode(fields: Fields, payload: &[u8]) -> Vec<u8> {
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)));
    let context = Value::Object(fields.collect()).to_string();
    // Base64 takes four characters for three bytes.
    let payload_len = payload.len().div_ceil(3).saturating_mul(4);
    let mut text = String::with_capacity(payload_len.saturating_add(context.len() + FRAME_LEN));
    text.push_str(BEFORE_CONTEXT);
    text.push_str(&context);
    text.push_str(BEFORE_PAYLOAD);
    STANDARD.encode_string(payload, &mut text);
    text.push_str(AFTER_PAYLOAD);
    text.into_bytes()
}

/// What is in `message`, if that is an envelope.
pub(super) fn decode(message: &[u8]) -> Option<Sealed> {
    serde_json::from_slice(message).ok()
}

pub(super) fn is_within_limits(fields: &Fields) -> bool {
    let lens = fields.iter().map(|(name, value)| name.len() + value.len());
    fields.len() <= MAX_CONTEXT_FIELDS && lens.sum::<usize>() <= MAX_CONTEXT_BYTES
}

// === impl Sealed ===

// Not derived: a derived structure is also read from an array, and without what may be `null`.
impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SealedVisitor)
    }
}

impl<'de> Visitor<'de> for SealedVisitor {
    type Value = Sealed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = None;
        let mut payload = None;
        while let Some(member) = map.next_key()? {
            match member {
                Member::PropagationContext if fields.is_none() => {
                    let Context(value) = map.next_value()?;
                    fields = Some(value);
                }
                Member::Payload if payload.is_none() => {
                    let Payload(value) = map.next_value()?;
                    payload = Some(value);
                }
                _ => return Err(A::Error::custom("a repeated member")),
            }
        }
        match (fields, payload) {
            (Some(fields), Some(payload)) => Ok(Sealed { fields, payload }),
            _ => Err(A::Error::custom("a missing member")),
        }
    }
}

// === impl Context ===

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContextVisitor).map(Self)
    }
}

impl<'de> Visitor<'de> for ContextVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings, or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Fields::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::new();
        while let Some((name, value)) = map.next_entry()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a repeated field"));
            }
            if !is_within_limits(&fields) {
                return Err(A::Error::custom("too many fields, or too long ones"));
            }
        }
        Ok(fields)
    }
}

// === impl Payload ===

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PayloadVisitor).map(Self)
    }
}

impl Visitor<'_> for PayloadVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64, or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        STANDARD.decode(text).map_err(E::custom)
    }
}

const BEFORE_CONTEXT: &str = r#"{"PropagationContext":"#;
const BEFORE_PAYLOAD: &str = r#","Payload":""#;
const AFTER_PAYLOAD: &str = r#""}"#;
const FRAME_LEN: usize = BEFORE_CONTEXT.len() + BEFORE_PAYLOAD.len() + AFTER_PAYLOAD.len();
