//! Text without what is secret in the URLs in it.
//!
//! Errors quote URLs, headers carry them, queries have others inside. Whatever goes onto a span as
//! text goes through [`text`] before, which looks for two things wherever they stand:
//!
//! | in the text | becomes |
//! |---|---|
//! | user information, `//user:password@host` | `//REDACTED:REDACTED@host` |
//! | the value of a listed key behind `?`, `&` or `#` | `sig=REDACTED` |
//!
//! What a text says in other ways is not found: a secret in a path or in prose, a URL that is
//! percent-encoded inside of another.
//!
//! ```
//! use towline_span::redact::{self, QueryKeys};
//!
//! let keys = QueryKeys::default().with_more(["token"]);
//! assert_eq!(
//!     redact::text("no answer from (http://me:pass@db.example/?token=abc&q=1)", &keys),
//!     "no answer from (http://REDACTED:REDACTED@db.example/?token=REDACTED&q=1)",
//! );
//! ```

use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::ops::Range;

use percent_encoding::percent_decode_str;

use crate::text::truncate;

/// The query keys whose values are replaced by [`REDACTED`] by default.
///
/// The list of semantic conventions [1.44.0] and the two that were on it before and are again after:
/// what signs a request to AWS, Azure and Google Cloud.
///
/// [1.44.0]: https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/registry/attributes/url.md
pub const DEFAULT_REDACTED_QUERY_KEYS: &[&str] = &[
    "AWSAccessKeyId",
    "Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "sig",
];

/// What stands in the place of a secret: `REDACTED`.
pub const REDACTED: &str = "REDACTED";

/// The query keys whose values are secret. Default: [`DEFAULT_REDACTED_QUERY_KEYS`].
///
/// A key is compared as a server would read it, percent-decoded and case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryKeys {
    defaults: bool,
    others: Vec<Cow<'static, str>>,
}

/// Where a secret stands in a text, and what to put there.
struct Secret {
    at: Range<usize>,
    instead: &'static str,
}

// === impl QueryKeys ===

impl QueryKeys {
    /// The default list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            defaults: true,
            others: Vec::new(),
        }
    }

    /// These keys and no others.
    #[must_use]
    pub fn only<K: Into<Cow<'static, str>>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self {
            defaults: false,
            others: Vec::new(),
        }
        .with_more(keys)
    }

    /// These keys as well.
    #[must_use]
    pub fn with_more<K: Into<Cow<'static, str>>>(
        mut self,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        self.others.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Whether the value of this key, as it stands in a URL, is secret.
    fn contains(&self, key: &str) -> bool {
        let key = if key.contains('%') {
            percent_decode_str(key).decode_utf8().unwrap_or_default()
        } else {
            Cow::Borrowed(key)
        };
        (self.defaults && DEFAULT_REDACTED_QUERY_KEYS.contains(&&*key))
            || self.others.contains(&key)
    }

    /// Whether a key of so many bytes is among them.
    fn has_len(&self, len: usize) -> bool {
        (self.defaults
            && DEFAULT_REDACTED_QUERY_KEYS
                .iter()
                .any(|key| key.len() == len))
            || self.others.iter().any(|key| key.len() == len)
    }
}

impl Default for QueryKeys {
    fn default() -> Self {
        Self::new()
    }
}

/// A query, without its `?`, with its secret values replaced, the keys kept; and so with URLs inside
/// of other values.
#[must_use]
pub fn query<'a>(query: &'a str, keys: &QueryKeys) -> Cow<'a, str> {
    fn secret<'a>(pair: &'a str, keys: &QueryKeys) -> Option<&'a str> {
        let (key, _value) = pair.split_once('=')?;
        keys.contains(key).then_some(key)
    }
    if is_plain_query(query, keys) {
        return Cow::Borrowed(query);
    }
    if !query.split('&').any(|pair| secret(pair, keys).is_some()) {
        return text(query, keys);
    }
    let mut clean = String::with_capacity(query.len() + REDACTED.len());
    for (n, pair) in query.split('&').enumerate() {
        if n > 0 {
            clean.push('&');
        }
        match secret(pair, keys) {
            Some(key) => clean.extend([key, "=", REDACTED]),
            None => clean.push_str(pair),
        }
    }
    // As a whole: the user information of a URL inside may have an `&`.
    Cow::Owned(match text(&clean, keys) {
        Cow::Borrowed(_) => clean,
        Cow::Owned(cleaner) => cleaner,
    })
}

/// A text with what is secret in its URLs replaced. See the [module](self).
///
/// An authority that is longer than the name of a host can be is replaced as a whole: its user
/// information may end beyond of what is there. So a text that was cut may be cleaned as well, if it
/// was cut at least [`LOOKAHEAD_BYTES`] behind of what is kept.
#[must_use]
pub fn text<'a>(text: &'a str, keys: &QueryKeys) -> Cow<'a, str> {
    if !has_marks(text) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::new();
    let mut from = 0;
    while let Some(secret) = next_secret(text, from, keys) {
        if clean.is_empty() {
            clean.reserve(text.len() + "REDACTED:REDACTED@".len());
        }
        clean.push_str(text.get(from..secret.at.start).unwrap_or_default());
        clean.push_str(secret.instead);
        from = secret.at.end;
    }
    if clean.is_empty() {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(clean)
}

/// [`text`], and of that at most so many bytes, cut at a character.
#[must_use]
pub fn bounded(text: &str, keys: &QueryKeys, max_bytes: usize) -> String {
    let seen = truncate(text, max_bytes.saturating_add(LOOKAHEAD_BYTES));
    truncate(&self::text(seen, keys), max_bytes).to_owned()
}

/// [`bounded`], for something that has yet to be written out and is written out no further.
#[must_use]
pub fn bounded_display(value: impl Display, keys: &QueryKeys, max_bytes: usize) -> String {
    let mut text = Bounded {
        text: String::new(),
        max_bytes: max_bytes.saturating_add(LOOKAHEAD_BYTES),
    };
    // The only error is our own, when the text is full.
    let _ = write!(text, "{value}");
    bounded(&text.text, keys, max_bytes)
}

/// How far behind of what is kept a text is looked at, in bytes.
pub const LOOKAHEAD_BYTES: usize = 1024;

/// Whether there is anything in a text that a secret may stand behind: most have none, and that is
/// quickly seen.
fn has_marks(text: &str) -> bool {
    let mut before = 0;
    text.bytes().any(|byte| {
        // Letters come behind all marks.
        let is_mark = byte <= b'?'
            && (matches!(byte, b'?' | b'&' | b'#') || (byte == b'/' && before == b'/'));
        before = byte;
        is_mark
    })
}

/// Whether a query has no secret, by the lengths of its keys and by what there is no URL without: most have none, and
/// that is quickly seen.
fn is_plain_query(query: &str, keys: &QueryKeys) -> bool {
    // Of the key at hand; nothing in a value.
    let mut key_len = Some(0);
    let mut before = 0;
    query.bytes().all(|byte| {
        let is_plain = match byte {
            b'&' => {
                key_len = Some(0);
                true
            }
            b'=' => !key_len.take().is_some_and(|len| keys.has_len(len)),
            // A key that is percent-encoded may be any.
            b'%' => key_len.is_none(),
            b'?' | b'#' => false,
            b'/' if before == b'/' => false,
            _ => {
                key_len = key_len.map(|len| len + 1);
                true
            }
        };
        before = byte;
        is_plain
    })
}

/// The first secret from here on.
fn next_secret(text: &str, from: usize, keys: &QueryKeys) -> Option<Secret> {
    let bytes = text.as_bytes();
    let mut marks = bytes.iter().enumerate().skip(from);
    marks.find_map(|(at, byte)| match byte {
        b'/' if bytes.get(at + 1) == Some(&b'/') => user_information(text, at + 2),
        b'?' | b'&' | b'#' => value(text, at + 1, keys),
        _ => None,
    })
}

/// The user information of the authority that begins here, if there is any.
fn user_information(text: &str, start: usize) -> Option<Secret> {
    let rest = text.get(start..)?;
    let authority = rest
        .find(|c: char| "/?#\\".contains(c) || ends_url(c))
        .unwrap_or(rest.len());
    let (authority, behind) = rest.split_at_checked(authority)?;
    let secret = |end, instead| {
        let at = start..start + end;
        Some(Secret { at, instead })
    };
    if let Some(at) = authority.rfind('@') {
        return secret(at, "REDACTED:REDACTED");
    }
    if authority.len() > MAX_AUTHORITY_BYTES {
        return secret(authority.len(), REDACTED);
    }
    // A password with a delimiter in it makes no legal URL, but a legible error.
    let (_, port) = authority.split_once(':')?;
    if authority.starts_with('[') || port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let behind = truncate(behind, LOOKAHEAD_BYTES);
    let end = behind.find(ends_url).unwrap_or(behind.len());
    let at = behind.get(..end)?.find('@')?;
    secret(authority.len() + at, "REDACTED:REDACTED")
}

/// The value of the key that begins here, if it is one of those.
fn value(text: &str, start: usize, keys: &QueryKeys) -> Option<Secret> {
    let rest = text.get(start..)?;
    let end = rest.find(|c: char| "=?&#".contains(c) || ends_url(c))?;
    let (key, value) = rest.split_at_checked(end)?;
    let value = value.strip_prefix('=')?;
    if !keys.contains(key) {
        return None;
    }
    let end = value
        .find(|c: char| "&#".contains(c) || ends_url(c))
        .unwrap_or(value.len());
    // What closes the brackets around the URL says nothing of the value.
    let value = value.get(..end)?.trim_end_matches(closes_url);
    let start = start + key.len() + 1;
    Some(Secret {
        at: start..start + value.len(),
        instead: REDACTED,
    })
}

/// What no URL has in it.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"<>".contains(c)
}

/// What may close a bracket, a quotation or a sentence around a URL.
fn closes_url(c: char) -> bool {
    ")]}',.;:`".contains(c)
}

/// A name of 253 bytes, or an address in brackets, and a port.
const MAX_AUTHORITY_BYTES: usize = 260;

/// A string that stops growing.
struct Bounded {
    text: String,
    max_bytes: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.max_bytes.saturating_sub(self.text.len());
        let kept = truncate(text, room);
        self.text.push_str(kept);
        if kept.len() < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
