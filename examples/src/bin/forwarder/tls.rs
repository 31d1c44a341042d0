//! TLS of the server, with every file looked at before anything is started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::problems::{Problems, Said};
use crate::settings::TlsFiles;
use crate::yaml;

/// A configuration of rustls for these protocols, if all files can be used.
pub(crate) fn load(files: &TlsFiles, problems: &mut Problems) -> Option<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let chain = try_file(&files.cert_file, problems, |text| {
        let chain = certificates(text)?;
        chain
            .first()
            .map_or(Ok(()), |first| is_valid(first, SystemTime::now()))?;
        Ok(chain)
    });
    let key = try_file(&files.key_file, problems, private_key);
    let mut roots = RootCertStore::empty();
    let mut are_clients_known = true;
    for file in &files.client_ca_files {
        let read = try_file(file, problems, authorities);
        for certificate in read.iter().flatten() {
            if roots.add(certificate.clone()).is_err() {
                problems.with(file, UNREADABLE);
                are_clients_known = false;
            }
        }
        are_clients_known &= read.is_some();
    }

    let key = provider.key_provider.load_private_key(key?);
    let Ok(key) = key else {
        problems.with(
            &files.key_file,
            "is of a kind that cannot be used: expected ECDSA on P-256 or P-384, Ed25519, or RSA",
        );
        return None;
    };
    let identity = CertifiedKey::new(chain?, key);
    if identity.keys_match().is_err() {
        problems.with(
            &files.key_file,
            format_args!(
                "does not belong to `{}`: expected the key of the first certificate there",
                files.cert_file.key
            ),
        );
        return None;
    }
    if !are_clients_known {
        return None;
    }
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions();
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            problems.elsewhere(format_args!("TLS cannot be set up: {error}"));
            return None;
        }
    };
    let config = if roots.is_empty() {
        config.with_no_client_auth()
    } else {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        match verifier.build() {
            Ok(verifier) => config.with_client_cert_verifier(verifier),
            Err(error) => {
                problems.elsewhere(format_args!("TLS cannot be set up: {error}"));
                return None;
            }
        }
    };
    Some(config.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
}

fn try_file<T>(
    file: &Said<PathBuf>,
    problems: &mut Problems,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let path: &Path = &file.value;
    let text = yaml::text(path).map_err(|error| {
        format!("is {path:?}, which cannot be read: expected a PEM file: {error}")
    });
    let value =
        text.and_then(|text| read(&text).map_err(|wrong| format!("is {path:?}, which {wrong}")));
    value.map_err(|wrong| problems.with(file, wrong)).ok()
}

/// All certificates of a file, at least one.
fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TORN)?;
    match certificates.is_empty() {
        true => Err(NO_CERTIFICATE.to_owned()),
        false => Ok(certificates),
    }
}

/// The certificates of a file that are valid now, at least one: in a bundle an old one may stay beside the new one for
/// a while.
fn authorities(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let (mut valid, mut wrong) = (vec![], None);
    for certificate in certificates(text)? {
        match is_valid(&certificate, SystemTime::now()) {
            Ok(()) => valid.push(certificate),
            Err(why) => wrong = wrong.or(Some(why)),
        }
    }
    match wrong.filter(|_| valid.is_empty()) {
        Some(wrong) => Err(wrong),
        None => Ok(valid),
    }
}

fn is_valid(certificate: &[u8], now: SystemTime) -> Result<(), String> {
    let certificate = Certificate::from_der(certificate).map_err(|_| UNREADABLE)?;
    let validity = certificate.tbs_certificate().validity();
    let (from, to) = (
        validity.not_before.to_unix_duration(),
        validity.not_after.to_unix_duration(),
    );
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let at = |time| humantime::format_rfc3339_seconds(UNIX_EPOCH + time);
    if now < from {
        Err(format!(
            "is not valid before {}: expected one that is valid",
            at(from)
        ))
    } else if now > to {
        Err(format!("expired at {}: expected one that is valid", at(to)))
    } else {
        Ok(())
    }
}

/// The first private key of a file.
fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        _ if text.contains("ENCRYPTED") => {
            "is encrypted: expected a key without a passphrase".to_owned()
        }
        PemError::NoItemsFound => {
            "holds no private key: expected PEM, which begins with -----BEGIN PRIVATE KEY-----"
                .to_owned()
        }
        _ => TORN.to_owned(),
    })
}

const NO_CERTIFICATE: &str =
    "holds no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----";

const TORN: &str = "is not whole: expected PEM, base64 between a line of BEGIN and one of END";

const UNREADABLE: &str = "holds a certificate that cannot be read: expected X.509 in PEM";
