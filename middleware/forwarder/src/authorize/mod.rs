//! Who may send spans, and as whom.
//!
//! Everything here looks at the head of a request alone: nothing of the body has been read when it
//! decides, and nothing of it is read when it refuses. What needs to wait, such as a look into a
//! database, belongs into the layer that authenticates the user's other services: it leaves an
//! [`Identity`] in the request's extensions, and [`AnyAuthenticated`] or [`AnyRole`] takes it from
//! there.
//!
//! # Examples
//!
//! A function is an authoriser:
//!
//! ```
//! use http::request::Parts;
//! use towline_forwarder::{Forwarder, Identity, Refusal};
//!
//! /// What the server's own authentication has left in the extensions.
//! #[derive(Clone)]
//! struct User {
//!     name: String,
//!     may_trace: bool,
//! }
//!
//! fn tracers(parts: &Parts) -> Result<Identity, Refusal> {
//!     let user = parts.extensions.get::<User>().ok_or_else(Refusal::unauthenticated)?;
//!     let identity = Identity::new(user.name.as_str())?;
//!     match user.may_trace {
//!         true => Ok(identity),
//!         false => Err(Refusal::permission_denied(identity)),
//!     }
//! }
//!
//! let forwarder = Forwarder::builder().authorize(tracers).build();
//! ```

mod bearer;
#[cfg(feature = "certificates")]
mod certificate;
mod refusal;

use std::borrow::Cow;

use http::request::Parts;

use crate::Identity;

pub use self::bearer::BearerTokens;
#[cfg(feature = "certificates")]
#[cfg_attr(docsrs, doc(cfg(feature = "certificates")))]
pub use self::certificate::{CertificateName, ClientCertificate, PeerCertificate};
pub use self::refusal::{Refusal, RefusalKind};

/// Decides from the head of a request who sent it, and whether that one may send spans.
///
/// A function `Fn(&Parts) -> Result<Identity, Refusal>` is one.
pub trait Authorize: Send + Sync + 'static {
    /// Who sent the request.
    ///
    /// It runs for every request, on the task that serves it: it must not block.
    ///
    /// # Errors
    ///
    /// [`Refusal`], if it is not known who, or if that one may not.
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal>;
}

/// Whoever is authenticated: takes the [`Identity`] that a layer before has left in the request's
/// extensions. It is what Teleport's auth server does, and the default.
///
/// # Examples
///
/// ```
/// use towline_forwarder::{AnyAuthenticated, Authorize, Identity, RefusalKind};
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Identity::new("alice")?);
/// let (parts, ()) = request.into_parts();
/// assert_eq!(AnyAuthenticated.authorize(&parts).unwrap().as_str(), "alice");
///
/// let (stranger, ()) = http::Request::new(()).into_parts();
/// let refusal = AnyAuthenticated.authorize(&stranger).unwrap_err();
/// assert_eq!(refusal.kind(), RefusalKind::Unauthenticated);
/// # Ok::<(), towline_forwarder::IdentityError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnyAuthenticated;

/// Whoever is authenticated and has one of these roles, by the [`Identity`] in the request's
/// extensions.
///
/// # Examples
///
/// ```
/// use towline_forwarder::{AnyRole, Authorize, Identity, RefusalKind};
///
/// let authorize = AnyRole::new(["Proxy", "Node"]);
/// let ask = |identity: Identity| {
///     let mut request = http::Request::new(());
///     request.extensions_mut().insert(identity);
///     authorize.authorize(&request.into_parts().0)
/// };
///
/// assert!(ask(Identity::new("Proxy.cluster")?.with_role("Proxy")?).is_ok());
/// let refusal = ask(Identity::new("Proxy")?).unwrap_err();
/// assert_eq!(refusal.kind(), RefusalKind::PermissionDenied);
/// # Ok::<(), towline_forwarder::IdentityError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnyRole {
    roles: Vec<Cow<'static, str>>,
}

// === impl Authorize ===

impl<F> Authorize for F
where
    F: Fn(&Parts) -> Result<Identity, Refusal> + Send + Sync + 'static,
{
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        self(parts)
    }
}

// === impl AnyAuthenticated ===

impl Authorize for AnyAuthenticated {
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        parts
            .extensions
            .get::<Identity>()
            .cloned()
            .ok_or_else(Refusal::unauthenticated)
    }
}

// === impl AnyRole ===

impl AnyRole {
    /// Whoever has one of `roles`. Roles are compared as they are written; with none, nobody may.
    #[must_use]
    pub fn new<R>(roles: impl IntoIterator<Item = R>) -> Self
    where
        R: Into<Cow<'static, str>>,
    {
        Self {
            roles: roles.into_iter().map(Into::into).collect(),
        }
    }
}

impl Authorize for AnyRole {
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        let identity = AnyAuthenticated.authorize(parts)?;
        let has = |role: &str| self.roles.iter().any(|allowed| allowed == role);
        if identity.roles().any(has) {
            Ok(identity)
        } else {
            Err(Refusal::permission_denied(identity))
        }
    }
}
