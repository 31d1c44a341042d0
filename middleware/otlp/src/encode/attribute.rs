use opentelemetry::{Array, KeyValue, Value};

use crate::wire::{nested_len, put_len, put_varint, varint_len};

/// Appends each attribute as one `KeyValue` message in the repeated field `field` (below 16).
#[inline]
pub(super) fn put_attributes(out: &mut Vec<u8>, field: u32, attributes: &[KeyValue]) {
    for attribute in attributes {
        put_attribute(out, field, attribute.key.as_str(), &attribute.value);
    }
}

/// Appends one `KeyValue { key = 1, value = 2 }`. The value is written even when empty: one that is
/// present and empty is not the same as none.
#[inline]
pub(crate) fn put_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &Value) {
    match value {
        Value::String(value) => put_text_attribute(out, field, key, value.as_str()),
        Value::I64(value) => put_int_attribute(out, field, key, *value),
        value => put_any_attribute(out, field, key, value),
    }
}

/// [`put_attribute`] of an integer.
#[inline]
pub(crate) fn put_int_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: i64) {
    if key.is_empty() || key.len() > 0x7f - 15 {
        return put_any_attribute(out, field, key, &Value::I64(value));
    }
    let tag = (field << 3 | 2) as u8;
    let (key_len, len) = (key.len() as u8, int_len(value) as u8);
    out.extend_from_slice(&[tag, key_len + len + 4, 0x0a, key_len]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[0x12, len]);
    put_int(out, value);
}

/// [`put_attribute`] of a text.
#[inline]
pub(crate) fn put_text_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    // Most attributes are a short key and a short text or number: every length takes one byte.
    if key.is_empty() || key.len() + value.len() > 0x7f - 6 {
        return put_long_text_attribute(out, field, key, value);
    }
    let tag = (field << 3 | 2) as u8;
    let (key_len, len) = (key.len() as u8, value.len() as u8);
    out.extend_from_slice(&[tag, key_len + len + 6, 0x0a, key_len]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[0x12, len + 2, 0x0a, len]);
    out.extend_from_slice(value.as_bytes());
}

/// [`put_text_attribute`] of any length.
fn put_long_text_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    put_text_attribute_of_parts(out, field, key, &[value]);
}

/// [`put_text_attribute`] of several texts in a row.
pub(crate) fn put_text_attribute_of_parts(
    out: &mut Vec<u8>,
    field: u32,
    key: &str,
    parts: &[&str],
) {
    let len = parts.iter().map(|part| part.len()).sum();
    let value_len = nested_len(len);
    put_len(out, field, key_value_len(key, value_len));
    if !key.is_empty() {
        put_str(out, 1, key);
    }
    put_len(out, 2, value_len);
    put_len(out, 1, len);
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// [`put_attribute`] of any length and kind.
fn put_any_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &Value) {
    let value_len = any_value_len(value);
    put_len(out, field, key_value_len(key, value_len));
    if !key.is_empty() {
        put_str(out, 1, key);
    }
    put_len(out, 2, value_len);
    put_any_value(out, value);
}

/// What [`put_attributes`] appends, in bytes.
pub(super) fn attributes_len<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> usize {
    attributes
        .into_iter()
        .map(|attribute| {
            nested_len(key_value_len(
                attribute.key.as_str(),
                any_value_len(&attribute.value),
            ))
        })
        .sum()
}

#[inline]
fn key_value_len(key: &str, value_len: usize) -> usize {
    str_len(key) + nested_len(value_len)
}

/// `AnyValue { oneof: string_value = 1, bool_value = 2, int_value = 3, double_value = 4,
/// array_value = 5 }`.
fn any_value_len(value: &Value) -> usize {
    match value {
        Value::Bool(_) => 2,
        Value::I64(value) => int_len(*value),
        Value::F64(_) => 9,
        Value::String(value) => nested_len(value.as_str().len()),
        Value::Array(array) => nested_len(array_len(array)),
        // A kind of value that a later API brings: its text is better than nothing.
        value => nested_len(value.to_string().len()),
    }
}

#[inline]
fn put_any_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => put_bool(out, *value),
        Value::I64(value) => put_int(out, *value),
        Value::F64(value) => put_double(out, *value),
        Value::String(value) => put_str(out, 1, value.as_str()),
        Value::Array(array) => put_array(out, array),
        value => put_str(out, 1, &value.to_string()),
    }
}

/// `ArrayValue { repeated AnyValue values = 1 }`.
fn array_len(array: &Array) -> usize {
    match array {
        Array::Bool(values) => values.len() * 4,
        Array::I64(values) => values.iter().map(|value| nested_len(int_len(*value))).sum(),
        Array::F64(values) => values.len() * 11,
        Array::String(values) => values
            .iter()
            .map(|value| nested_len(nested_len(value.as_str().len())))
            .sum(),
        array => nested_len(nested_len(array.to_string().len())),
    }
}

fn put_array(out: &mut Vec<u8>, array: &Array) {
    put_len(out, 5, array_len(array));
    match array {
        Array::Bool(values) => values.iter().for_each(|value| {
            put_len(out, 1, 2);
            put_bool(out, *value);
        }),
        Array::I64(values) => values.iter().for_each(|value| {
            put_len(out, 1, int_len(*value));
            put_int(out, *value);
        }),
        Array::F64(values) => values.iter().for_each(|value| {
            put_len(out, 1, 9);
            put_double(out, *value);
        }),
        Array::String(values) => values.iter().for_each(|value| {
            put_len(out, 1, nested_len(value.as_str().len()));
            put_str(out, 1, value.as_str());
        }),
        array => {
            let text = array.to_string();
            put_len(out, 1, nested_len(text.len()));
            put_str(out, 1, &text);
        }
    }
}

/// Appends a string field (below 16), even an empty one.
#[inline]
pub(super) fn put_str(out: &mut Vec<u8>, field: u32, value: &str) {
    put_len(out, field, value.len());
    out.extend_from_slice(value.as_bytes());
}

/// What a string field (below 16) takes when it is left out while empty.
#[inline]
pub(super) fn str_len(value: &str) -> usize {
    if value.is_empty() {
        0
    } else {
        nested_len(value.len())
    }
}

#[inline]
fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(&[0x10, u8::from(value)]);
}

#[inline]
fn int_len(value: i64) -> usize {
    // Two's complement: a negative number takes ten bytes.
    1 + varint_len(value as u64)
}

#[inline]
fn put_int(out: &mut Vec<u8>, value: i64) {
    out.push(0x18);
    put_varint(out, value as u64);
}

#[inline]
fn put_double(out: &mut Vec<u8>, value: f64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    out.extend_from_slice(&[0x21, a, b, c, d, e, f, g, h]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_attributes_are_written_as_any_others() {
        let integers = [0, 1, 127, 128, -1, i64::MAX, i64::MIN].map(Value::I64);
        let texts = (0..140).map(|len| Value::from("v".repeat(len)));
        for value in integers.into_iter().chain(texts) {
            for key_len in 0..140 {
                let key = "k".repeat(key_len);
                let (mut short, mut any) = (Vec::new(), Vec::new());
                put_attribute(&mut short, 9, &key, &value);
                put_any_attribute(&mut any, 9, &key, &value);
                assert_eq!(short, any, "{key_len} {value}");
                assert_eq!(
                    any.len(),
                    attributes_len(&[KeyValue::new(key, value.clone())])
                );
            }
        }
    }
}
