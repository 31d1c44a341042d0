//! From a `Baggage` to the value of a header.

use opentelemetry::{
    Key, StringValue,
    baggage::{Baggage, BaggageMetadata},
};
use percent_encoding::percent_encode;

use super::{MAX_BYTES, MAX_MEMBERS, grammar};

/// The value of the `baggage` header for `baggage`, as the [module](super) describes; empty if nothing is to
/// be sent.
///
/// The result is ASCII, legal in a header, and at most [`MAX_BYTES`] long.
///
/// The metadata of an entry is taken as properties in encoded form, as they stand in the header; bytes that
/// are illegal there are percent-encoded, and a property without a key is left out.
#[must_use]
pub fn encode(baggage: &Baggage) -> String {
    let mut entries: Vec<_> = baggage.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| key.as_str());

    let mut text = String::new();
    let mut members = 0;
    for (key, (value, metadata)) in entries {
        if members == MAX_MEMBERS {
            break;
        }
        let before = text.len();
        if members > 0 {
            text.push(',');
        }
        if push_member(key, value, metadata, &mut text).is_some() && text.len() <= MAX_BYTES {
            members += 1;
        } else {
            text.truncate(before);
        }
    }
    text
}

fn push_member(
    key: &Key,
    value: &StringValue,
    metadata: &BaggageMetadata,
    text: &mut String,
) -> Option<()> {
    // The API checks keys, and a key cannot be encoded.
    grammar::is_token(key.as_str().as_bytes()).then_some(())?;
    text.push_str(key.as_str());
    text.push('=');
    text.extend(percent_encode(
        value.as_str().as_bytes(),
        grammar::ENCODE_IN_VALUE,
    ));
    for property in metadata.as_str().split(';').map(trim) {
        let (key, value) = match property.split_once('=') {
            Some((key, value)) => (trim(key), Some(trim(value))),
            None => (property, None),
        };
        if key.is_empty() {
            continue;
        }
        text.push(';');
        text.extend(percent_encode(key.as_bytes(), grammar::NOT_TOKEN));
        if let Some(value) = value {
            text.push('=');
            text.extend(percent_encode(value.as_bytes(), grammar::NOT_BAGGAGE_OCTET));
        }
    }
    Some(())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
