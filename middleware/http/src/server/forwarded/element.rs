use super::node;
use crate::attributes::HostAndPort;

/// One element of `Forwarded` ([RFC 7239, 4]): what one proxy says of its caller.
///
/// [RFC 7239, 4]: https://www.rfc-editor.org/rfc/rfc7239#section-4
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) client: Option<&'a str>,
    pub(super) scheme: Option<&'static str>,
    pub(super) server: Option<HostAndPort<'a>>,
}

impl<'a> Element<'a> {
    /// Nothing for what is not one. A quoted string with a backslash in it is taken for none: nothing
    /// that could be believed needs it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut element = Self::default();
        let mut rest = text;
        loop {
            let (pair, next) = split(rest, b';')?;
            let pair = pair.trim_matches([' ', '\t']);
            if !pair.is_empty() {
                let (name, value) = pair.split_once('=')?;
                element.set(name, unquoted(value)?)?;
            }
            match next {
                Some(next) => rest = next,
                None => return Some(element),
            }
        }
    }

    /// Nothing for a name that was there before: it must not be twice.
    fn set(&mut self, name: &str, value: &'a str) -> Option<()> {
        if name.eq_ignore_ascii_case("for") {
            self.client.replace(value).is_none()
        } else if name.eq_ignore_ascii_case("proto") {
            self.scheme
                .is_none()
                .then(|| self.scheme = node::scheme(value))
                .is_some()
        } else if name.eq_ignore_ascii_case("host") {
            self.server
                .is_none()
                .then(|| self.server = node::host(value))
                .is_some()
        } else {
            !name.is_empty() && name.bytes().all(is_token)
        }
        .then_some(())
    }
}

/// A list without its last element, and that one; a comma inside of a quoted string is none.
///
/// The list is read from the right, where the nearest proxy has added: what a caller has begun on
/// the left, such as a quoted string without an end, changes nothing there.
///
/// It is read as bytes for the same reason; what is given is nothing if that is no text.
pub(super) fn split_last(list: &[u8]) -> (Option<&[u8]>, Option<&str>) {
    let mut quoted = false;
    let comma = list.iter().rposition(|byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    let (rest, last) = match comma.and_then(|at| list.split_at_checked(at)) {
        Some((rest, last)) => (Some(rest), last.get(1..).unwrap_or_default()),
        None => (None, list),
    };
    (rest, std::str::from_utf8(last).ok())
}

/// What stands before and behind the first separator outside of quoted strings. Nothing if a quoted
/// string has no end.
fn split(text: &str, separator: u8) -> Option<(&str, Option<&str>)> {
    let mut quoted = false;
    let at = text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == separator && !quoted
    });
    match at {
        Some(at) => Some((text.get(..at)?, Some(text.get(at + 1..)?))),
        None => (!quoted).then_some((text, None)),
    }
}

/// A token, or what is inside of a quoted string.
fn unquoted(value: &str) -> Option<&str> {
    if let Some(rest) = value.strip_prefix('"') {
        let inside = rest.strip_suffix('"')?;
        return (!inside.contains(['"', '\\'])).then_some(inside);
    }
    // Colons and brackets must be quoted, and often are not.
    let legal = |byte| is_token(byte) || b":[]".contains(&byte);
    (!value.is_empty() && value.bytes().all(legal)).then_some(value)
}

/// A byte of a token ([RFC 9110, 5.6.2]).
///
/// [RFC 9110, 5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
