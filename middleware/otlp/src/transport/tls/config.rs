//! From options to what rustls takes, with every file checked.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Tls;
use super::certificate::Fields;
use super::identity::{Asked, Identities};
use super::pem::{self, Fault, Pem};
use crate::transport::{TransportError, TransportErrorKind};

/// A configuration of rustls. `now` is for what is checked here; rustls has a clock of its own.
pub(super) fn load(
    tls: &Tls,
    protocol: &[u8],
    now: SystemTime,
) -> Result<(ClientConfig, Asked), TransportError> {
    // Never the default of the process, which may be missing or belong to somebody else.
    let provider = Arc::new(ring::default_provider());
    let roots = match tls.ca_certs.is_empty() {
        true => system_roots()?,
        false => roots(&tls.ca_certs, now)?,
    };
    let identities = Identities::load(&tls.key_pairs, &provider, now)?;
    let asked = identities.asked().clone();
    let mut config = builder(provider)?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(identities));
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok((config, asked))
}

/// Reads what is given, and nothing of the system's.
pub(super) fn check(tls: &Tls, now: SystemTime) -> Result<(), TransportError> {
    roots(&tls.ca_certs, now)?;
    Identities::load(&tls.key_pairs, &ring::default_provider(), now)?;
    Ok(())
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<
    tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier>,
    TransportError,
> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            TransportError::new(TransportErrorKind::Tls, "TLS cannot be set up").with_source(error)
        })
}

/// The certificates of all files.
fn roots(files: &[Pem], now: SystemTime) -> Result<RootCertStore, TransportError> {
    let mut roots = RootCertStore::empty();
    for file in files {
        let of_file = |found| fault(CA_CERTIFICATE, file, found);
        let mut invalid = None;
        let mut count = 0;
        for certificate in pem::certificates(file).map_err(of_file)? {
            let fields = Fields::read(&certificate).map_err(|_| of_file(UNREADABLE.into()))?;
            // rustls does not look at the time of roots. In a bundle the old one may stay beside
            // the new one for a while: it is left out.
            if let Some(wrong) = fields.fault_at(now) {
                invalid.get_or_insert(wrong);
                continue;
            }
            roots
                .add(certificate)
                .map_err(|_| of_file(UNREADABLE.into()))?;
            count += 1;
        }
        if let Some(wrong) = invalid.filter(|_| count == 0) {
            return Err(of_file(
                format!("{wrong}: expected one that is valid").into(),
            ));
        }
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TransportError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A few that nobody can read are common.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let error = TransportError::new(
        TransportErrorKind::Tls,
        "the system has no root certificates: expected some, or CA certificates in the options",
    );
    Err(match found.errors.into_iter().next() {
        Some(cause) => error.with_source(cause),
        None => error,
    })
}

/// What is wrong with a file.
pub(super) fn fault(what: &str, file: &Pem, fault: Fault) -> TransportError {
    let error = TransportError::new(
        TransportErrorKind::Tls,
        format!("{what} {file} {}", fault.text),
    );
    let error = match file {
        Pem::File(path) => error.with_file(path),
        Pem::Text(_) => error,
    };
    match fault.source {
        Some(source) => error.with_source(source),
        None => error,
    }
}

const CA_CERTIFICATE: &str = "CA certificate";

pub(super) const CERTIFICATE: &str = "client certificate";

pub(super) const KEY: &str = "private key";

pub(super) const UNREADABLE: &str =
    "holds a certificate that cannot be read: expected X.509 in PEM";

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate that is its own authority, and its key.
    fn identity(from: i32, to: i32) -> (String, String) {
        let mut params = CertificateParams::new(["host".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap().pem();
        (cert, key.serialize_pem())
    }

    #[test]
    fn what_is_valid_is_a_matter_of_time() {
        let (cert, key) = identity(2020, 2030);
        // In the years 2019, 2025 and 2031.
        for (seconds, expected) in [
            (
                1_560_000_000,
                Some("is not valid before 2020-01-01T00:00:00Z"),
            ),
            (1_750_000_000, None),
            (1_940_000_000, Some("expired at 2030-01-01T00:00:00Z")),
        ] {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            for tls in [
                Tls::new().ca_pem(&cert),
                Tls::new().ca_pem(&cert).key_pair_pem(&cert, &key),
            ] {
                let wrong = load(&tls, b"h2", now).err().map(|error| error.to_string());
                match expected {
                    None => assert_eq!(wrong, None),
                    Some(expected) => assert!(wrong.unwrap().contains(expected)),
                }
            }
        }
    }

    #[test]
    fn an_old_root_may_stand_beside_its_successor() {
        let ((old, _), (new, _)) = (identity(2000, 2020), identity(2020, 2040));
        let now = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        let bundle = Pem::text([old.as_bytes(), new.as_bytes()].concat().as_slice());
        assert_eq!(roots(&[bundle], now).unwrap().len(), 1);
        // Not in a file of its own, which somebody has forgotten.
        let files = [Pem::text(new.as_bytes()), Pem::text(old.as_bytes())];
        let error = roots(&files, now).unwrap_err();
        assert!(error.to_string().contains("expired at 2020"), "{error}");
        assert!(error.source().is_none());
    }
}
