//! From header lines to a `Baggage`.

use std::str;

use opentelemetry::baggage::Baggage;
use percent_encoding::percent_decode;

use super::{MAX_BYTES, MAX_MEMBERS, grammar};
use crate::white_space;

/// What the `baggage` headers of one message come to.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) baggage: Baggage,
    /// Whether something was left out: an illegal member, or one beyond the limits.
    pub(crate) rejected: bool,
}

/// Reads the values of the `baggage` headers of one message, as the [module](super) describes.
///
/// What cannot be read is left out, so there is no error. The work and the memory are bounded by the
/// [limits](super), however long the lines are.
#[must_use]
pub fn decode<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Baggage {
    incoming(lines).baggage
}

/// [`decode`], and whether it left something out.
pub(crate) fn incoming<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Incoming {
    let mut incoming = Incoming::default();
    let mut members = 0;
    let mut bytes = 0;
    let mut readable = MAX_READ_BYTES;
    for line in lines {
        let whole = whole_members(line, readable);
        for member in whole.split(|byte| *byte == b',').map(white_space::trim) {
            if member.is_empty() {
                continue;
            }
            if members == MAX_MEMBERS {
                incoming.rejected = true;
                return incoming;
            }
            let comma = usize::from(members > 0);
            if bytes + comma + member.len() <= MAX_BYTES
                && insert(member, &mut incoming.baggage).is_some()
            {
                members += 1;
                bytes += comma + member.len();
            } else {
                incoming.rejected = true;
            }
        }
        if whole.len() < line.len() {
            incoming.rejected = true;
            return incoming;
        }
        // One more for the comma that would join the lines: many empty ones are bounded as well.
        readable = readable.saturating_sub(line.len() + 1);
    }
    incoming
}

/// The members at the left of `line` that end within the next `readable` bytes.
fn whole_members(line: &[u8], readable: usize) -> &[u8] {
    match line.get(..readable) {
        Some(head) if head.len() < line.len() => {
            let end = head.iter().rposition(|byte| *byte == b',').unwrap_or(0);
            head.get(..end).unwrap_or_default()
        }
        _ => line,
    }
}

/// Adds one member that has no white space around it; nothing if it is illegal.
fn insert(member: &[u8], baggage: &mut Baggage) -> Option<()> {
    let mut parts = member.split(|byte| *byte == b';').map(white_space::trim);
    let (key, value) = key_and_value(parts.next()?)?;
    let value = percent_decode(value?).decode_utf8_lossy();
    let mut metadata = String::new();
    for property in parts.filter(|property| !property.is_empty()) {
        let (key, value) = key_and_value(property)?;
        if !metadata.is_empty() {
            metadata.push(';');
        }
        metadata.push_str(key);
        if let Some(value) = value {
            metadata.push('=');
            metadata.push_str(str::from_utf8(value).ok()?);
        }
    }
    baggage.insert_with_metadata(key.to_owned(), value.into_owned(), metadata);
    Some(())
}

/// `key`, or `key OWS "=" OWS value`, if it is legal.
fn key_and_value(pair: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    let mut parts = pair.splitn(2, |byte| *byte == b'=').map(white_space::trim);
    let key = parts.next().filter(|key| grammar::is_token(key))?;
    let value = parts.next();
    if !value.is_none_or(grammar::is_value) {
        return None;
    }
    Some((str::from_utf8(key).ok()?, value))
}

/// The most bytes of header lines that are looked at: twice [`MAX_BYTES`], since white space and members
/// that are left out count as well.
const MAX_READ_BYTES: usize = 2 * MAX_BYTES;
