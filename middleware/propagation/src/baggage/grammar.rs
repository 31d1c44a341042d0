//! Which bytes may stand where, and how the others are written.

use percent_encoding::{AsciiSet, CONTROLS};

/// Whether `name` is a `token` of [RFC 7230, §3.2.6](https://www.rfc-editor.org/rfc/rfc7230#section-3.2.6):
/// the keys of members and of properties.
pub(crate) fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
        })
}

/// Whether `value` consists of `baggage-octet`s only; it may be empty.
pub(super) fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b',' | b';' | b'\\'))
}

/// The bytes of a value that is in encoded form already that are still to be encoded: all but
/// `baggage-octet`s.
pub(super) const NOT_BAGGAGE_OCTET: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\');

/// The bytes of a value to be percent-encoded: those, and the percent sign.
pub(super) const ENCODE_IN_VALUE: &AsciiSet = &NOT_BAGGAGE_OCTET.add(b'%');

/// The bytes to be percent-encoded in the key of a property that is in encoded form already: those that are
/// not of a token.
pub(super) const NOT_TOKEN: &AsciiSet = &NOT_BAGGAGE_OCTET
    .add(b'(')
    .add(b')')
    .add(b'/')
    .add(b':')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b']')
    .add(b'{')
    .add(b'}');
