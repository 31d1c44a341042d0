//! The stamp on the wire format, the slow and obvious way: every message is taken apart into its
//! fields and put together again. It knows what a valid request looks like, and no more.

use towline_forwarder::stamp::FORWARDED_FOR;
use towline_otlp::wire::{Payload, Reader};

use crate::wire::{forged, key, len, padded, pair, varint};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    /// An event.
    Event,
    Link,
    Pair,
    Value,
    Array,
    List,
}

/// The messages in a message, as far as attributes are in them.
fn child(kind: Kind, number: u32) -> Option<Kind> {
    Some(match (kind, number) {
        (Kind::Request, 1) => Kind::ResourceSpans,
        (Kind::ResourceSpans, 1) => Kind::Resource,
        (Kind::ResourceSpans, 2) => Kind::ScopeSpans,
        (Kind::ScopeSpans, 1) => Kind::Scope,
        (Kind::ScopeSpans, 2) => Kind::Span,
        (Kind::Span, 11) => Kind::Event,
        (Kind::Span, 13) => Kind::Link,
        (Kind::Resource, 1) | (Kind::Scope | Kind::Event, 3) => Kind::Pair,
        (Kind::Link, 4) | (Kind::Span, 9) | (Kind::List, 1) => Kind::Pair,
        (Kind::Pair, 2) | (Kind::Array, 1) => Kind::Value,
        (Kind::Value, 5) => Kind::Array,
        (Kind::Value, 6) => Kind::List,
        _ => return None,
    })
}

/// A field: number, the whole of it, and its content if it has one.
type Field<'a> = (u32, &'a [u8], Option<&'a [u8]>);

fn fields(message: &[u8]) -> Vec<Field<'_>> {
    let mut fields = vec![];
    let mut reader = Reader::new(message);
    loop {
        let before = reader.rest();
        let Some(field) = reader.next() else {
            return fields;
        };
        let field = field.unwrap();
        let raw = &before[..before.len() - reader.rest().len()];
        let content = match field.payload {
            Payload::Len(content) => Some(content),
            _ => None,
        };
        fields.push((field.number, raw, content));
    }
}

/// The request with `alice` on every resource and span; all of it valid, and without field 1000.
pub(crate) fn stamped(request: &[u8]) -> Vec<u8> {
    edited(Kind::Request, request, Some(FORWARDED_FOR), false).unwrap_or_else(|| request.to_vec())
}

/// What becomes of a message; `None` if nothing does.
fn edited(kind: Kind, message: &[u8], path: Option<&str>, stamp: bool) -> Option<Vec<u8>> {
    let fields = fields(message);
    let path = match kind {
        Kind::Pair => {
            let key = keys(message).last().copied().unwrap_or_default();
            path.and_then(|path| path.strip_prefix(key)?.strip_prefix('.'))
        }
        _ => path,
    };
    let (mut out, mut changed) = (vec![], stamp);
    let last_resource = fields.iter().rposition(|(number, ..)| *number == 1);
    if kind == Kind::ResourceSpans && last_resource.is_none() {
        out.extend(len(1, len(1, pair(FORWARDED_FOR, "alice"))));
        changed = true;
    }
    for (index, (number, raw, content)) in fields.into_iter().enumerate() {
        let child = child(kind, number).zip(content);
        let forged = |keys: Vec<&str>| {
            keys.iter()
                .any(|key| *key == FORWARDED_FOR || Some(*key) == path)
        };
        if let Some((Kind::Pair, pair)) = child
            && forged(keys(pair))
        {
            changed = true;
            continue;
        }
        let stamp = match child {
            Some((Kind::Span, _)) => true,
            Some((Kind::Resource, _)) => last_resource == Some(index),
            _ => false,
        };
        match child.and_then(|(kind, content)| edited(kind, content, path, stamp)) {
            Some(content) => {
                out.extend(len(number, content));
                changed = true;
            }
            None => out.extend(raw),
        }
    }
    if stamp {
        let number = if kind == Kind::Span { 9 } else { 1 };
        out.extend(len(number, pair(FORWARDED_FOR, "alice")));
    }
    changed.then_some(out)
}

fn keys(pair: &[u8]) -> Vec<&str> {
    let keys = fields(pair).into_iter().filter(|field| field.0 == 1);
    let mut keys: Vec<_> = keys
        .map(|(_, _, key)| str::from_utf8(key.unwrap()).unwrap())
        .collect();
    if keys.is_empty() {
        keys.push("");
    }
    keys
}

/// Draws numbers, the same ones for the same seed.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // xorshift64
        self.0 |= 1;
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// Writes a message anew as a peculiar encoder might: fields of later versions at every level, keys
/// and lengths that are longer than needed, a field in two places, a message in two parts.
pub(crate) fn disguised(kind: Kind, message: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut out = vec![];
    for (number, raw, content) in fields(message) {
        if draw.below(4) == 0 {
            out.extend(later(draw));
        }
        let content = match (child(kind, number), content) {
            (Some(kind), Some(content)) => disguised(kind, content, draw),
            (None, Some(content)) => content.to_vec(),
            (_, None) => {
                out.extend(raw);
                continue;
            }
        };
        // Halves of a message that is merged; what is written for it is one or two fields.
        let singular = matches!(child(kind, number), Some(Kind::Resource | Kind::Scope))
            || (kind, number) == (Kind::Pair, 2);
        let mut parts = vec![content];
        if singular && draw.below(3) == 0 {
            let fields = fields(&parts[0]);
            let (first, second) = fields.split_at(draw.below(fields.len() + 1));
            let join =
                |part: &[Field<'_>]| part.iter().flat_map(|(_, raw, _)| *raw).copied().collect();
            parts = vec![join(first), join(second)];
        }
        for part in parts {
            let head = u64::from(number << 3 | 2);
            out.extend(padded(head, 1 + draw.below(9).saturating_sub(4)));
            out.extend(padded(
                part.len() as u64,
                1 + draw.below(9).saturating_sub(4),
            ));
            out.extend(part);
        }
        if (kind, number) == (Kind::Pair, 1) && draw.below(6) == 0 {
            // Another key, which is the one that counts.
            out.extend(len(1, ["other", FORWARDED_FOR, ""][draw.below(3)]));
        }
    }
    while draw.below(3) == 0 {
        out.extend(later(draw));
    }
    out
}

/// A field that no message has.
fn later(draw: &mut Draw) -> Vec<u8> {
    let number = [17, 18, 99, 999, 1001, (1 << 29) - 1][draw.below(6)];
    let any = draw.below(usize::MAX) as u64;
    match draw.below(6) {
        0 => [key(number, 0), varint(any)].concat(),
        1 => [key(number, 0), padded(any, 10)].concat(),
        2 => [&key(number, 1)[..], &any.to_le_bytes()].concat(),
        3 => len(number, len(9, forged())),
        4 => len(number, any.to_be_bytes()),
        _ => [&key(number, 5)[..], &any.to_le_bytes()[..4]].concat(),
    }
}
