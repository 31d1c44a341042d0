use tower::BoxError;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::Utf8StringRef;
use x509_cert::der::oid::ObjectIdentifier;

/// Who is at the other end of a connection, by the certificate that its handshake has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

// === impl User ===

impl User {
    /// The name and the roles in a certificate of this cluster.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, BoxError> {
        let certificate = Certificate::from_der(der)?;
        let mut name = None;
        let mut roles = Vec::new();
        for attribute in certificate.tbs_certificate().subject().iter() {
            let text = || attribute.value.decode_as::<Utf8StringRef<'_>>();
            match attribute.oid {
                COMMON_NAME => name = Some(text()?.as_str().to_owned()),
                ORGANIZATION => roles.extend(text()?.as_str().split(',').map(str::to_owned)),
                _ => {}
            }
        }
        let name = name.ok_or("the certificate has no common name")?;
        Ok(Self { name, roles })
    }

    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|has| has == role)
    }
}

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::teleport::certificates::Authority;

    #[test]
    fn is_who_the_certificate_says() {
        let credentials = Authority::new()
            .unwrap()
            .issue("alice", &["access", "tracer"], None)
            .unwrap();
        let der = CertificateDer::from_pem_slice(credentials.certificate().as_bytes()).unwrap();
        let alice = User::from_der(&der).unwrap();
        assert_eq!(alice.name, "alice");
        assert!(alice.has_role("access") && alice.has_role("tracer"));
        assert!(!alice.has_role("access,tracer") && !alice.has_role(""));
        assert!(User::from_der(&der[..der.len() - 1]).is_err());
    }
}
