//! Requests by hand, in ways that no encoder writes them.

use towline_forwarder::stamp::FORWARDED_FOR;

/// A varint.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = vec![];
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A varint of `len` bytes, longer than it would have to be.
pub(crate) fn padded(value: u64, len: usize) -> Vec<u8> {
    let mut out = varint(value);
    while out.len() < len {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
    out
}

pub(crate) fn key(number: u32, wire_type: u32) -> Vec<u8> {
    varint(u64::from(number << 3 | wire_type))
}

/// A length-delimited field.
pub(crate) fn len(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&key(number, 2)[..], &varint(content.len() as u64), content].concat()
}

/// The same, with key and length of five bytes.
pub(crate) fn long_len(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let key = padded(u64::from(number << 3 | 2), 5);
    [&key[..], &padded(content.len() as u64, 5), content].concat()
}

/// A group.
pub(crate) fn group(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    [&key(number, 3)[..], content.as_ref(), &key(number, 4)].concat()
}

/// The content of a `KeyValue` with a string.
pub(crate) fn pair(key: impl AsRef<[u8]>, value: &str) -> Vec<u8> {
    [len(1, key), len(2, len(1, value))].concat()
}

/// The content of a `KeyValue` whose value is a list of such pairs.
pub(crate) fn list_pair(key: &str, pairs: &[Vec<u8>]) -> Vec<u8> {
    [len(1, key), len(2, len(6, list(pairs)))].concat()
}

/// The content of a `KeyValueList`.
pub(crate) fn list(pairs: &[Vec<u8>]) -> Vec<u8> {
    pairs.iter().flat_map(|pair| len(1, pair)).collect()
}

/// What a client writes who wants to be somebody else.
pub(crate) fn forged() -> Vec<u8> {
    pair(FORWARDED_FOR, "mallory")
}

/// A request of one `ResourceSpans` with one `ScopeSpans` with one span of this content.
pub(crate) fn span(content: impl AsRef<[u8]>) -> Vec<u8> {
    scope_spans(len(2, content))
}

pub(crate) fn scope_spans(content: impl AsRef<[u8]>) -> Vec<u8> {
    resource_spans(len(2, content))
}

pub(crate) fn resource_spans(content: impl AsRef<[u8]>) -> Vec<u8> {
    len(1, content)
}
