use std::error::Error;
use std::fmt;

/// Who sent the spans, as the one who authenticated the client knows it.
///
/// Its text is what Teleport writes into `teleport.forwarded.for`: the name alone for a user, and
/// `<name>:<role>[,<role>…]` for one of the cluster's own services.
///
/// What exists is harmless to show: it is not empty, has no control characters and is at most
/// [`MAX_BYTES`](Self::MAX_BYTES) long. A name may contain a colon, as those of SPIFFE do. Where
/// clients choose their own names, do not let them choose `Proxy.cluster:Proxy`.
///
/// # Examples
///
/// ```
/// use towline_forwarder::Identity;
///
/// assert_eq!(Identity::new("alice")?.to_string(), "alice");
///
/// let proxy = Identity::new("Proxy.cluster")?.with_role("Proxy")?.with_role("Node")?;
/// assert_eq!(proxy.to_string(), "Proxy.cluster:Proxy,Node");
/// # Ok::<(), towline_forwarder::IdentityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    text: String,
    name_bytes: usize,
}

/// The text cannot be an [`Identity`], or a role of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityError {
    kind: IdentityErrorKind,
    part: &'static str,
}

/// What is wrong with the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityErrorKind {
    /// It is empty.
    Empty,
    /// The identity would be longer than [`Identity::MAX_BYTES`].
    TooLong,
    /// It has a control character, such as a line break.
    Control,
    /// A role has a `:` or a `,`, which stand between the parts.
    Separator,
}

// === impl Identity ===

impl Identity {
    /// The longest identity, its roles included, in bytes.
    ///
    /// The limit is ours. The text is written once for each span, and nobody's name needs more.
    pub const MAX_BYTES: usize = 1024;

    /// An identity that is a name alone, as that of a user.
    ///
    /// # Errors
    ///
    /// If `name` is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES) or has a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, IdentityError> {
        let text = name.into();
        let identity = Self {
            name_bytes: text.len(),
            text,
        };
        check(&identity.text, identity.text.len(), "name")?;
        Ok(identity)
    }

    /// Adds a role. The first is the role of a built-in identity, the others are its additional
    /// ones.
    ///
    /// # Errors
    ///
    /// If `role` is empty, or has a control character, a `:` or a `,`; and if the identity gets
    /// longer than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn with_role(mut self, role: &str) -> Result<Self, IdentityError> {
        if role.contains([':', ',']) {
            return Err(IdentityError {
                kind: IdentityErrorKind::Separator,
                part: "role",
            });
        }
        check(role, self.text.len().saturating_add(role.len() + 1), "role")?;
        let first = self.text.len() == self.name_bytes;
        self.text.push(if first { ':' } else { ',' });
        self.text.push_str(role);
        Ok(self)
    }

    /// The name, without roles.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text
            .split_at_checked(self.name_bytes)
            .map_or("", |(name, _)| name)
    }

    /// The roles, in the order in which they were added.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let roles = self.text.split_at_checked(self.name_bytes + 1);
        roles.into_iter().flat_map(|(_, roles)| roles.split(','))
    }

    /// Name and roles, as they are written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn check(text: &str, whole_bytes: usize, part: &'static str) -> Result<(), IdentityError> {
    let kind = if text.is_empty() {
        IdentityErrorKind::Empty
    } else if whole_bytes > Identity::MAX_BYTES {
        IdentityErrorKind::TooLong
    } else if text.contains(char::is_control) {
        IdentityErrorKind::Control
    } else {
        return Ok(());
    };
    Err(IdentityError { kind, part })
}

// === impl IdentityError ===

impl IdentityError {
    /// What is wrong with the text.
    #[must_use]
    pub const fn kind(&self) -> IdentityErrorKind {
        self.kind
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text: it comes from outside, and is refused for a reason.
        write!(f, "the {} of an identity ", self.part)?;
        match self.kind {
            IdentityErrorKind::Empty => f.write_str("is empty"),
            IdentityErrorKind::TooLong => {
                write!(f, "makes it longer than {} bytes", Identity::MAX_BYTES)
            }
            IdentityErrorKind::Control => f.write_str("has a control character"),
            IdentityErrorKind::Separator => f.write_str("has a ':' or a ','"),
        }
    }
}

impl Error for IdentityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_teleport_writes_it() {
        let user = Identity::new("alice").unwrap();
        assert_eq!((user.as_str(), user.name()), ("alice", "alice"));
        assert_eq!(user.roles().count(), 0);

        let mut proxy = Identity::new("Proxy.cluster").unwrap();
        for (role, expected) in [
            ("Proxy", "Proxy.cluster:Proxy"),
            ("Node", "Proxy.cluster:Proxy,Node"),
            ("Instance", "Proxy.cluster:Proxy,Node,Instance"),
        ] {
            proxy = proxy.with_role(role).unwrap();
            assert_eq!(proxy.to_string(), expected);
        }
        assert_eq!(proxy.name(), "Proxy.cluster");
        assert!(proxy.roles().eq(["Proxy", "Node", "Instance"]));
    }

    #[test]
    fn a_name_with_a_colon_keeps_it() {
        let name = "spiffe://example.com/agent";
        let agent = Identity::new(name).unwrap().with_role("Bot").unwrap();
        assert_eq!(agent.as_str(), "spiffe://example.com/agent:Bot");
        assert_eq!((agent.name(), agent.roles().next()), (name, Some("Bot")));
    }

    #[test]
    fn refuses_what_is_harmful_to_show() {
        let long = "x".repeat(Identity::MAX_BYTES);
        assert!(Identity::new(long.as_str()).is_ok());
        for (name, expected) in [
            ("", IdentityErrorKind::Empty),
            (&format!("{long}x"), IdentityErrorKind::TooLong),
            ("alice\n", IdentityErrorKind::Control),
            ("al\u{9b}ice", IdentityErrorKind::Control),
            ("\0", IdentityErrorKind::Control),
        ] {
            assert_eq!(
                Identity::new(name).unwrap_err().kind(),
                expected,
                "{name:?}"
            );
        }
        for (role, expected) in [
            ("", IdentityErrorKind::Empty),
            ("a,b", IdentityErrorKind::Separator),
            ("a:b", IdentityErrorKind::Separator),
            ("\u{7f}", IdentityErrorKind::Control),
            (&long, IdentityErrorKind::TooLong),
            (&long[4..], IdentityErrorKind::TooLong),
        ] {
            let error = Identity::new("host").unwrap().with_role(role).unwrap_err();
            assert_eq!(error.kind(), expected, "{role:?}");
            assert!(error.to_string().contains("role"), "{error}");
        }
        assert!(Identity::new("host").unwrap().with_role(&long[5..]).is_ok());
    }
}
