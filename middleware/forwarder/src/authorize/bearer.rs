use std::fmt;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::{Authorize, Refusal};
use crate::Identity;

/// Whoever has one of these tokens: `authorization: Bearer <token>` ([RFC 6750, section
/// 2.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-2.1)), in HTTP and gRPC alike.
///
/// Each token belongs to an identity. Whatever is sent is compared with all of them, in a time that
/// depends on lengths alone. It is for a handful of agents; many users are for an authentication of
/// one's own.
///
/// # Examples
///
/// ```
/// use towline_forwarder::{Authorize, BearerTokens, Identity};
///
/// let tokens = BearerTokens::new().token("c0ffee", Identity::new("build-agent")?);
///
/// let request = http::Request::builder().header("authorization", "Bearer c0ffee").body(())?;
/// let identity = tokens.authorize(&request.into_parts().0)?;
/// assert_eq!(identity.as_str(), "build-agent");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct BearerTokens {
    tokens: Vec<(Box<[u8]>, Identity)>,
}

// === impl BearerTokens ===

impl BearerTokens {
    /// No token: nobody may.
    #[must_use]
    pub const fn new() -> Self {
        Self { tokens: vec![] }
    }

    /// Whoever has `token` is `identity`. An empty token is nobody's. Of the same token twice the
    /// last one counts.
    #[must_use]
    pub fn token(mut self, token: impl AsRef<[u8]>, identity: Identity) -> Self {
        if !token.as_ref().is_empty() {
            self.tokens.push((token.as_ref().into(), identity));
        }
        self
    }
}

impl Authorize for BearerTokens {
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        let refused = || Refusal::unauthenticated().with_challenge("Bearer");
        let sent = sent(parts).ok_or_else(refused)?;
        // All of them, the right one or not: where it is found must not show in the time.
        let none = self.tokens.len() as u64;
        let mut found = none;
        for (index, (token, _)) in self.tokens.iter().enumerate() {
            let same: Choice = token.ct_eq(sent);
            found.conditional_assign(&(index as u64), same);
        }
        usize::try_from(found)
            .ok()
            .and_then(|index| self.tokens.get(index))
            .map(|(_, identity)| identity.clone())
            .ok_or_else(|| refused().with_reason("the token is not known here"))
    }
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identities = self.tokens.iter().map(|(_, identity)| identity);
        f.debug_list().entries(identities).finish()
    }
}

/// The token of a request that has exactly one.
fn sent(parts: &Parts) -> Option<&[u8]> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let value = values.next().map(HeaderValue::as_bytes)?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefusalKind;

    fn tokens() -> BearerTokens {
        let identity = |name: &str| Identity::new(name).unwrap();
        BearerTokens::new()
            .token("one", identity("first"))
            .token("two", identity("second"))
            .token("two", identity("third"))
            .token("", identity("nobody"))
    }

    #[test]
    fn knows_exactly_the_tokens_it_was_given() {
        for (headers, expected) in [
            (&["Bearer one"][..], Some("first")),
            (&["bearer one"], Some("first")),
            (&["Bearer   one "], Some("first")),
            (&["Bearer two"], Some("third")),
            (&["Bearer tw"], None),
            (&["Bearer twoo"], None),
            (&["Bearer TWO"], None),
            (&["Bearer "], None),
            (&["Bearer"], None),
            (&["Basic one"], None),
            (&["one"], None),
            (&[""], None),
            (&[], None),
            // Whose is it?
            (&["Bearer one", "Bearer two"], None),
        ] {
            let mut request = http::Request::builder();
            for header in headers {
                request = request.header(AUTHORIZATION, *header);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let result = tokens().authorize(&parts);
            match (expected, result) {
                (Some(name), Ok(identity)) => assert_eq!(identity.as_str(), name),
                (None, Err(refusal)) => {
                    assert_eq!(refusal.kind(), RefusalKind::Unauthenticated);
                }
                (_, result) => panic!("{headers:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn no_token_is_nobody() {
        let request = http::Request::builder().header(AUTHORIZATION, "Bearer x");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(BearerTokens::new().authorize(&parts).is_err());
    }

    #[test]
    fn debug_shows_no_token() {
        let debug = format!("{:?}", tokens());
        assert!(debug.contains("second"), "{debug}");
        assert!(!debug.contains("two"), "{debug}");
    }
}
