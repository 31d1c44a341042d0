use axum::extract::Request;
use http::request::Parts;
use towline_forwarder::{Authorize, Identity, Refusal};

use crate::teleport::user::User;

/// Whoever has the role [`ROLE`].
///
/// A user's spans are stamped with the name alone, as Teleport does; so the roles are not the identity's, which
/// `AnyRole` would ask for, but looked up beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracers;

/// The role that lets a user hand spans over.
const ROLE: &str = "tracer";

/// Leaves in a request who has sent it.
pub(super) fn identify(request: &mut Request, user: User) {
    // A name that cannot be shown is nobody's, and finds no identity later.
    if let Ok(identity) = Identity::new(user.name.as_str()) {
        request.extensions_mut().insert(identity);
    }
    request.extensions_mut().insert(user);
}

// === impl Tracers ===

impl Authorize for Tracers {
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        let identity = parts.extensions.get::<Identity>();
        let identity = identity.ok_or_else(Refusal::unauthenticated)?.clone();
        let user = parts.extensions.get::<User>();
        if user.is_some_and(|user| user.has_role(ROLE)) {
            Ok(identity)
        } else {
            let reason = format!("the user has not the role {ROLE}");
            Err(Refusal::permission_denied(identity).with_reason(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use towline_forwarder::RefusalKind;

    use super::*;

    fn ask(user: Option<User>) -> Result<Identity, RefusalKind> {
        let mut request = Request::default();
        if let Some(user) = user {
            identify(&mut request, user);
        }
        let (parts, _body) = request.into_parts();
        Tracers.authorize(&parts).map_err(|refusal| refusal.kind())
    }

    fn user(name: &str, role: &str) -> Option<User> {
        let name = name.to_owned();
        let roles = vec![role.to_owned()];
        Some(User { name, roles })
    }

    #[test]
    fn who_has_the_role_may_and_is_known_by_name() {
        assert_eq!(ask(user("alice", "tracer")).unwrap().as_str(), "alice");
        assert_eq!(
            ask(user("bob", "access")),
            Err(RefusalKind::PermissionDenied)
        );
        assert_eq!(ask(user("", "tracer")), Err(RefusalKind::Unauthenticated));
        assert_eq!(ask(None), Err(RefusalKind::Unauthenticated));
    }
}
