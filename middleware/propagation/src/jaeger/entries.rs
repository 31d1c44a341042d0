//! Baggage, an entry to a header.

use opentelemetry::{
    Context,
    baggage::{Baggage, BaggageExt},
    propagation::Injector,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::BAGGAGE_PREFIX;
use crate::baggage::{MAX_BYTES, MAX_MEMBERS, is_token};

/// The context with the entries among `fields`, beside those that it has already; nothing if there are none.
///
/// The work and the memory are bounded by the limit of W3C Baggage in bytes, beyond a look at each name; how many
/// entries there are is bounded by the API.
pub(super) fn read<'a>(
    fields: impl Iterator<Item = (&'a str, &'a str)>,
    cx: &Context,
) -> Option<Context> {
    let mut baggage: Option<Baggage> = None;
    let mut bytes = 0;
    for (name, value) in fields {
        let Some(key) = key_of(name).filter(|key| is_token(key.as_bytes())) else {
            continue;
        };
        bytes += key.len() + value.len() + 1;
        if bytes > MAX_BYTES {
            break;
        }
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        // It has the same limits, and leaves out what goes beyond them.
        let baggage = baggage.get_or_insert_with(|| copy(cx.baggage()));
        baggage.insert(key.to_owned(), value);
    }
    baggage.map(|baggage| cx.with_baggage(baggage))
}

/// Writes every entry, as long as there is room; in order, so that the same baggage always makes the same headers.
pub(super) fn write(cx: &Context, injector: &mut dyn Injector) {
    let mut entries: Vec<_> = cx.baggage().iter().collect();
    entries.sort_unstable_by_key(|(key, _)| key.as_str());
    let mut bytes = 0;
    for (key, (value, _)) in entries.into_iter().take(MAX_MEMBERS) {
        let key = key.as_str();
        if !is_token(key.as_bytes()) {
            continue;
        }
        let value = utf8_percent_encode(value.as_str(), RESERVED).to_string();
        let len = key.len() + value.len() + 1;
        if bytes + len > MAX_BYTES {
            continue;
        }
        bytes += len;
        injector.set(&format!("{BAGGAGE_PREFIX}{key}"), value);
    }
}

/// The key that a field is for, in the case in which it stands there.
pub(super) fn key_of(name: &str) -> Option<&str> {
    let (prefix, key) = name.split_at_checked(BAGGAGE_PREFIX.len())?;
    prefix.eq_ignore_ascii_case(BAGGAGE_PREFIX).then_some(key)
}

fn copy(baggage: &Baggage) -> Baggage {
    let entries = baggage.iter();
    entries
        .map(|(key, (value, metadata))| (key.clone(), (value.clone(), metadata.clone())))
        .collect()
}

/// All bytes but those that [RFC 3986, §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3) calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
