//! The longest text of an attribute, which the SDK does not limit.
//!
//! It [counts characters](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/common/README.md#attribute-limits),
//! in a text and in each text of a list.

use opentelemetry::{Array, KeyValue, StringValue, Value};

/// Cuts the texts of these attributes.
pub(crate) fn shorten(attributes: &mut [KeyValue], chars: usize) {
    for attribute in attributes {
        shorten_value(&mut attribute.value, chars);
    }
}

/// Cuts the texts of this value.
pub(super) fn shorten_value(value: &mut Value, chars: usize) {
    match value {
        Value::String(text) => shorten_text(text, chars),
        Value::Array(Array::String(texts)) => {
            for text in texts {
                shorten_text(text, chars);
            }
        }
        _ => {}
    }
}

/// The part of a text that is kept.
pub(super) fn shortened(text: &str, chars: usize) -> &str {
    // As many bytes cannot be more characters.
    if text.len() <= chars {
        return text;
    }
    match text.char_indices().nth(chars) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

fn shorten_text(text: &mut StringValue, chars: usize) {
    let short = shortened(text.as_str(), chars);
    if short.len() < text.as_str().len() {
        *text = short.to_owned().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_nothing_else_is_touched() {
        let long = "äöü€😀abc";
        for (chars, expected) in [(0, ""), (1, "ä"), (5, "äöü€😀"), (8, long), (100, long)]
        {
            let mut attributes = [
                KeyValue::new("text", long),
                KeyValue::new("number", 1_234_567),
                KeyValue::new(
                    "texts",
                    Value::Array(Array::String(vec![long.into(), "".into()])),
                ),
            ];
            shorten(&mut attributes, chars);
            assert_eq!(
                attributes,
                [
                    KeyValue::new("text", expected),
                    KeyValue::new("number", 1_234_567),
                    KeyValue::new(
                        "texts",
                        Value::Array(Array::String(vec![expected.into(), "".into()])),
                    ),
                ],
                "{chars}"
            );
        }
    }
}
