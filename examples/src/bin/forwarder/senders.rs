//! Who sends, and whether that one may.

use http::request::Parts;
use towline_forwarder::{
    Authorize, BearerTokens, ClientCertificate, Identity, PeerCertificate, Refusal,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;

/// Decides for each request, by what `authorize` in the configuration says.
#[derive(Clone, Debug)]
pub(crate) struct Senders {
    pub(crate) known: Known,
    /// One of these roles is needed, unless there are none.
    pub(crate) roles: Vec<String>,
}

/// How a sender is known.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// Not at all: everyone is this one.
    Anyone(Identity),
    Tokens(BearerTokens),
    /// By the certificate of the connection.
    Certificate(ClientCertificate),
}

/// Who is at the other end of a connection, in the extensions of its requests. It is found out once: a certificate
/// takes longer to read than most requests.
#[derive(Clone, Debug)]
pub(crate) struct ConnectedAs(Result<Identity, Refusal>);

// === impl Senders ===

impl Senders {
    /// Who has connected with this certificate.
    pub(crate) fn connected(&self, certificate: Option<&[u8]>) -> Option<ConnectedAs> {
        let Known::Certificate(known) = &self.known else {
            return None;
        };
        let mut request = http::Request::new(());
        if let Some(der) = certificate {
            request.extensions_mut().insert(PeerCertificate::new(der));
        }
        let identity = known.authorize(&request.into_parts().0);
        // Roles are asked for only where they count: they would be written on every span.
        let roles = match certificate {
            Some(der) if !self.roles.is_empty() => organisations(der),
            _ => vec![],
        };
        Some(ConnectedAs(identity.map(|identity| {
            roles.iter().fold(identity, |identity, role| {
                // A role that cannot be written is none: that makes nobody more than they are.
                identity.clone().with_role(role).unwrap_or(identity)
            })
        })))
    }

    fn who(&self, parts: &Parts) -> Result<Identity, Refusal> {
        match &self.known {
            Known::Anyone(identity) => Ok(identity.clone()),
            Known::Tokens(tokens) => tokens.authorize(parts),
            Known::Certificate(_) => match parts.extensions.get::<ConnectedAs>() {
                Some(ConnectedAs(who)) => who.clone(),
                None => Err(Refusal::unauthenticated()),
            },
        }
    }
}

impl Authorize for Senders {
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        let identity = self.who(parts)?;
        let may = self.roles.is_empty()
            || identity
                .roles()
                .any(|role| self.roles.iter().any(|allowed| allowed == role));
        if may {
            Ok(identity)
        } else {
            Err(Refusal::permission_denied(identity)
                .with_reason("the sender has none of the roles"))
        }
    }
}

/// The organisations of a certificate's subject, each once.
fn organisations(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else {
        return vec![];
    };
    let mut found: Vec<String> = vec![];
    for attribute in certificate.tbs_certificate().subject().iter() {
        if attribute.oid != ORGANISATION {
            continue;
        }
        let utf8 = attribute.value.decode_as::<Utf8StringRef<'_>>();
        let text = utf8.map(|text| text.as_str().to_owned()).or_else(|_| {
            let printable = attribute.value.decode_as::<PrintableStringRef<'_>>();
            printable.map(|text| text.as_str().to_owned())
        });
        found.extend(text.ok().filter(|text| !found.contains(text)));
    }
    found
}

/// `id-at-organizationName`.
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
