use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::failure::{Failure, FailureKind};
use crate::{Identity, IdentityError};

/// The sender of a request is not known, or may not send spans.
///
/// The client is told the kind and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    who: Option<Identity>,
    reason: Cow<'static, str>,
    challenge: Option<Cow<'static, str>>,
}

/// Why a sender is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// It is not known who it is: UNAUTHENTICATED, or 401.
    Unauthenticated,
    /// It is known, and may not: PERMISSION_DENIED, or 403.
    PermissionDenied,
}

// === impl Refusal ===

impl Refusal {
    /// It is not known who sent the request.
    #[must_use]
    pub const fn unauthenticated() -> Self {
        Self {
            kind: RefusalKind::Unauthenticated,
            who: None,
            reason: Cow::Borrowed("the request has no credentials that are known here"),
            challenge: None,
        }
    }

    /// It is known who sent the request, and that one may not send spans.
    #[must_use]
    pub const fn permission_denied(who: Identity) -> Self {
        Self {
            kind: RefusalKind::PermissionDenied,
            who: Some(who),
            reason: Cow::Borrowed("the sender may not forward spans"),
            challenge: None,
        }
    }

    /// Says why, for the log; the client is not told.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// What an HTTP client is asked for in `WWW-Authenticate`, such as `Bearer` ([RFC 9110, section
    /// 11.6.1](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1)). It is sent with a 401
    /// only, and not if it cannot be a header's value.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<Cow<'static, str>>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// Who it is, if that is known.
    #[must_use]
    pub const fn who(&self) -> Option<&Identity> {
        self.who.as_ref()
    }

    /// The reason, for the log.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Refusal {}

impl From<IdentityError> for Refusal {
    /// Whoever has a name that cannot be written on spans is as good as unknown.
    fn from(error: IdentityError) -> Self {
        Self::unauthenticated().with_reason(error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Unauthenticated => {
                Self::new(FailureKind::Unauthenticated, "not authenticated")
                    .with_challenge(refusal.challenge)
            }
            RefusalKind::PermissionDenied => Self::new(
                FailureKind::PermissionDenied,
                "not allowed to forward spans",
            ),
        }
    }
}
