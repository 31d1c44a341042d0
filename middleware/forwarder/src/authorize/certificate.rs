use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::{Authorize, Refusal};
use crate::Identity;

/// The certificate with which a client has connected, in DER, in the extensions of its requests.
///
/// Whoever accepts connections puts it there, of a connection whose TLS handshake has *verified* it:
/// here it is read and believed.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate(Arc<[u8]>);

/// Which name of a certificate is its holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateName {
    /// A URI among the subject's alternative names, as SPIFFE has it ([RFC 5280, section
    /// 4.2.1.6](https://www.rfc-editor.org/rfc/rfc5280.html#section-4.2.1.6)).
    Uri,
    /// A DNS name among the subject's alternative names.
    Dns,
    /// A mail address among the subject's alternative names.
    Email,
    /// The common name of the subject, where Teleport and Kubernetes have the user.
    CommonName,
}

/// Whoever has connected with a certificate, under the name that stands in it.
///
/// By default the certificate is a [`PeerCertificate`] in the request's extensions;
/// [`from`](Self::from) takes it from elsewhere.
///
/// # Examples
///
/// With tonic, which leaves the certificates of its TLS connections in the extensions:
///
/// ```
/// use http::request::Parts;
/// use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
/// use towline_forwarder::{CertificateName, ClientCertificate, Forwarder, PeerCertificate};
///
/// let authorize = ClientCertificate::new(CertificateName::Uri)
///     .only(["spiffe://example.com/agent"])
///     .from(|parts: &Parts| {
///         let connection = parts.extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?;
///         Some(PeerCertificate::new(connection.peer_certs()?.first()?.as_ref()))
///     });
/// let forwarder = Forwarder::builder().authorize(authorize).build();
/// ```
#[derive(Clone)]
pub struct ClientCertificate {
    name: CertificateName,
    only: Option<Vec<Cow<'static, str>>>,
    from: Source,
}

type Source = Arc<dyn Fn(&Parts) -> Option<PeerCertificate> + Send + Sync>;

// === impl PeerCertificate ===

impl PeerCertificate {
    /// A certificate in DER: the first of the chain that the client has sent.
    #[must_use]
    pub fn new(der: &[u8]) -> Self {
        Self(der.into())
    }

    /// The certificate in DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }

    /// The names of that kind, in their order.
    fn names(&self, kind: CertificateName) -> Result<Vec<String>, x509_cert::der::Error> {
        let certificate = Certificate::from_der(&self.0)?;
        let tbs = certificate.tbs_certificate();
        if kind == CertificateName::CommonName {
            let names = tbs.subject().iter();
            let common = names.filter(|attribute| attribute.oid == COMMON_NAME);
            return Ok(common
                .filter_map(|attribute| text(&attribute.value))
                .collect());
        }
        let Some((_, SubjectAltName(names))) = tbs.get_extension::<SubjectAltName>()? else {
            return Ok(vec![]);
        };
        let of_kind = names.iter().filter_map(|name| match (kind, name) {
            (CertificateName::Uri, GeneralName::UniformResourceIdentifier(name))
            | (CertificateName::Dns, GeneralName::DnsName(name))
            | (CertificateName::Email, GeneralName::Rfc822Name(name)) => Some(name.to_string()),
            _ => None,
        });
        Ok(of_kind.collect())
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("len_bytes", &self.0.len())
            .finish()
    }
}

// === impl ClientCertificate ===

impl ClientCertificate {
    /// Whoever has a certificate with such a name. Of several the first one counts.
    #[must_use]
    pub fn new(name: CertificateName) -> Self {
        Self {
            name,
            only: None,
            from: Arc::new(|parts| parts.extensions.get::<PeerCertificate>().cloned()),
        }
    }

    /// Only these names may send spans, compared as they are written; others are known and refused.
    #[must_use]
    pub fn only<N>(mut self, names: impl IntoIterator<Item = N>) -> Self
    where
        N: Into<Cow<'static, str>>,
    {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Where the certificate is, if not a [`PeerCertificate`] in the request's extensions.
    #[must_use]
    pub fn from(
        mut self,
        source: impl Fn(&Parts) -> Option<PeerCertificate> + Send + Sync + 'static,
    ) -> Self {
        self.from = Arc::new(source);
        self
    }
}

impl Authorize for ClientCertificate {
    fn authorize(&self, parts: &Parts) -> Result<Identity, Refusal> {
        let certificate = (self.from)(parts).ok_or_else(|| {
            Refusal::unauthenticated().with_reason("the client has no certificate")
        })?;
        let names = certificate.names(self.name).map_err(|error| {
            Refusal::unauthenticated()
                .with_reason(format!("the client's certificate cannot be read: {error}"))
        })?;
        let Some(first) = names.first() else {
            let reason = "the client's certificate has no name of the kind that is asked for";
            return Err(Refusal::unauthenticated().with_reason(reason));
        };
        let Some(only) = &self.only else {
            return Ok(Identity::new(first.as_str())?);
        };
        match names
            .iter()
            .find(|name| only.iter().any(|one| one == *name))
        {
            Some(name) => Ok(Identity::new(name.as_str())?),
            None => Err(Refusal::permission_denied(Identity::new(first.as_str())?)),
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("name", &self.name)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}

/// A directory string, of the kinds that are text.
fn text(value: &x509_cert::der::Any) -> Option<String> {
    let text = value
        .decode_as::<Utf8StringRef<'_>>()
        .map(|text| text.as_str().to_owned());
    let text = text.or_else(|_| {
        let text = value.decode_as::<PrintableStringRef<'_>>()?;
        Ok::<_, x509_cert::der::Error>(text.as_str().to_owned())
    });
    let text = text.or_else(|_| {
        let text = value.decode_as::<Ia5StringRef<'_>>()?;
        Ok::<_, x509_cert::der::Error>(text.as_str().to_owned())
    });
    let text = text.or_else(|_| {
        let text = value.decode_as::<TeletexStringRef<'_>>()?;
        Ok::<_, x509_cert::der::Error>(text.as_str().to_owned())
    });
    text.ok()
}

/// `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

#[cfg(test)]
mod tests {
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;
    use crate::RefusalKind;

    fn certificate() -> PeerCertificate {
        let text = |text: &str| Ia5String::try_from(text).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "älice");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "admins");
        params.subject_alt_names = vec![
            SanType::DnsName(text("one.example.com")),
            SanType::URI(text("spiffe://example.com/agent")),
            SanType::DnsName(text("two.example.com")),
            SanType::Rfc822Name(text("alice@example.com")),
        ];
        let key = KeyPair::generate().unwrap();
        PeerCertificate::new(params.self_signed(&key).unwrap().der())
    }

    fn ask(
        authorize: &ClientCertificate,
        certificate: Option<PeerCertificate>,
    ) -> Result<Identity, Refusal> {
        let mut request = http::Request::new(());
        if let Some(certificate) = certificate {
            request.extensions_mut().insert(certificate);
        }
        authorize.authorize(&request.into_parts().0)
    }

    #[test]
    fn the_name_is_the_one_that_was_asked_for() {
        for (name, expected) in [
            (CertificateName::Uri, "spiffe://example.com/agent"),
            (CertificateName::Dns, "one.example.com"),
            (CertificateName::Email, "alice@example.com"),
            (CertificateName::CommonName, "älice"),
        ] {
            let identity = ask(&ClientCertificate::new(name), Some(certificate())).unwrap();
            assert_eq!(identity.as_str(), expected);
        }
    }

    #[test]
    fn only_the_names_that_are_listed() {
        let authorize = ClientCertificate::new(CertificateName::Dns);
        let two = authorize.clone().only(["two.example.com", "x"]);
        let identity = ask(&two, Some(certificate())).unwrap();
        assert_eq!(identity.as_str(), "two.example.com");

        for only in [&["TWO.example.com"][..], &["example.com"], &[]] {
            let authorize = authorize.clone().only(only.iter().copied());
            let refusal = ask(&authorize, Some(certificate())).unwrap_err();
            assert_eq!(refusal.kind(), RefusalKind::PermissionDenied);
            assert_eq!(refusal.who().unwrap().as_str(), "one.example.com");
        }
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        let authorize = ClientCertificate::new(CertificateName::CommonName);
        let whole = certificate();
        for len in 0..whole.as_der().len() {
            let cut = PeerCertificate::new(&whole.as_der()[..len]);
            let refusal = ask(&authorize, Some(cut)).unwrap_err();
            assert_eq!(refusal.kind(), RefusalKind::Unauthenticated, "{len}");
        }
        let refusal = ask(&authorize, None).unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::Unauthenticated);

        let key = KeyPair::generate().unwrap();
        let nameless = CertificateParams::default().self_signed(&key).unwrap();
        let authorize = ClientCertificate::new(CertificateName::Uri);
        let refusal = ask(&authorize, Some(PeerCertificate::new(nameless.der()))).unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::Unauthenticated);
    }
}
