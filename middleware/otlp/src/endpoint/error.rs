use std::error::Error;
use std::fmt;

/// Why a text is not an exporter URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    kind: EndpointErrorKind,
    /// The URL with its secrets masked.
    url: String,
    expected: String,
}

/// The part of the URL that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointErrorKind {
    /// Nothing was given.
    Empty,
    /// A character that no URL has: whitespace or a control character.
    Character,
    /// A scheme other than `grpc`, `grpcs`, `http`, `https`, `unix`, `unix-abstract` and `file`.
    Scheme,
    /// A user name or a password.
    UserInfo,
    /// A host that is missing or is none.
    Host,
    /// A port that is not a number from 1 to 65535.
    Port,
    /// A path that cannot be sent or opened, or that the scheme does not take.
    Path,
    /// A query or a fragment where none is taken, an unknown or repeated key, or a value that
    /// cannot be used.
    Query,
}

// === impl EndpointError ===

impl EndpointError {
    pub(super) fn new(kind: EndpointErrorKind, url: &str, expected: impl Into<String>) -> Self {
        Self {
            kind,
            url: masked(url),
            expected: expected.into(),
        }
    }

    /// Which part is wrong.
    #[must_use]
    pub const fn kind(&self) -> EndpointErrorKind {
        self.kind
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.kind {
            EndpointErrorKind::Empty => "is empty",
            EndpointErrorKind::Character => "has a character that no URL has",
            EndpointErrorKind::Scheme => "has an unknown scheme",
            EndpointErrorKind::UserInfo => "has a user name or password",
            EndpointErrorKind::Host => "has no usable host",
            EndpointErrorKind::Port => "has no usable port",
            EndpointErrorKind::Path => "has no usable path",
            EndpointErrorKind::Query => "has a query that cannot be used",
        };
        write!(
            f,
            "exporter url {:?} {part}: expected {}",
            self.url, self.expected
        )
    }
}

impl Error for EndpointError {}

/// `url` without what may be a secret (everything up to the last `@`, and the query), and cut to a
/// length that fits a line.
fn masked(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        // What does not look like a scheme may be part of a secret.
        Some((scheme, rest)) if scheme.bytes().all(is_scheme_byte) => (Some(scheme), rest),
        _ => (None, url),
    };
    // The last `@` wherever it stands: a password may well hold a slash or a question mark.
    let (user_info, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let (head, query) = match rest.split_once(['?', '#']) {
        Some((head, query)) => (head, Some(query)),
        None => (rest, None),
    };
    let mut shown = String::new();
    if let Some(scheme) = scheme {
        shown.extend([scheme, "://"]);
    }
    shown.extend([user_info, head]);
    for (index, pair) in query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .enumerate()
    {
        shown.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            // The keys that mean something to us carry no secrets.
            Some((key, value)) if super::file::KEYS.contains(&key) => {
                shown.extend([key, "=", value]);
            }
            _ => shown.push_str("***"),
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(MAX_SHOWN_CHARS) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

const fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// Characters of a URL that an error shows.
const MAX_SHOWN_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_what_may_be_a_secret() {
        for (url, expected) in [
            ("http://host/path", "http://host/path"),
            ("http://user:pass@host/path", "http://***@host/path"),
            ("http://user:p/a@ss@host", "http://***@host"),
            ("user:pass@host:4317", "***@host:4317"),
            ("http://user:p?a#ss@host", "http://***@host"),
            ("us@er://host", "***@er://host"),
            ("?key=secret://host", "?***"),
            ("http://host?api_key=secret&x#y", "http://host?***&***"),
            (
                "file:///dir?limit=1e9&format=csv",
                "file:///dir?limit=1e9&format=csv",
            ),
        ] {
            assert_eq!(masked(url), expected);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(
            masked(&"ä".repeat(5000)).chars().count(),
            MAX_SHOWN_CHARS + 1
        );
    }
}
