//! Certificate authorities and certificates of the moment, for TLS on both sides.
//!
//! Everything is made when it is asked for, with new keys (ECDSA P-256), and lives as long as the
//! values do. Code that reads PEM files gets their paths: they are written to a directory of their
//! own when they are first asked for, and removed with the last value that came from the same
//! [`TestCa`].
//!
//! # Examples
//!
//! ```
//! use towline_test_support::certificates::TestCa;
//!
//! let ca = TestCa::new();
//! // One certificate for every way in which the test names the server.
//! let server = ca.server(["localhost", "127.0.0.1"]);
//! let client = ca.client("users");
//!
//! // In memory, for rustls ...
//! let server_config = server.server_config(Some(&ca));
//! let client_config = ca.client_config(Some(&client));
//! # drop((server_config, client_config));
//! // ... and in files, for configuration.
//! let ca_certs = ca.cert_path();
//! let keypair = (client.key_path(), client.cert_path());
//! assert!(ca_certs.exists() && keypair.0.exists() && keypair.1.exists());
//! ```
//!
//! What must be refused:
//!
//! | | how |
//! |---|---|
//! | signed by somebody else | a certificate of another [`TestCa`] |
//! | of another name | [`TestCa::server`] with names that nobody calls it by |
//! | expired, not yet valid | [`TestCa::expired_server`], [`TestCa::expired_client`], [`TestCa::future_server`] |
//! | for another purpose | [`TestCa::client`] where a server's is expected, and the other way around |

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate authority that signs whatever a test needs. See the [module](self).
///
/// Clones are the same authority.
#[derive(Clone)]
pub struct TestCa {
    inner: Arc<Ca>,
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    files: Arc<Files>,
}

/// A certificate with its key, signed by a [`TestCa`].
#[derive(Clone)]
pub struct TestCertificate {
    inner: Arc<Leaf>,
}

struct Leaf {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    cert_pem: String,
    key_pem: String,
    number: usize,
    files: Arc<Files>,
}

/// The directory for the files of an authority, there from when it is needed.
#[derive(Default)]
struct Files {
    directory: OnceLock<TempDir>,
    issued: AtomicUsize,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
enum Validity {
    Now,
    Past,
    Future,
}

// === impl TestCa ===

impl TestCa {
    /// A new authority, which nobody trusts yet.
    #[must_use]
    pub fn new() -> Self {
        // Each of its own name: else another one's certificate is a forgery, not a stranger's.
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        let mut params = params([], &format!("Towline test CA {number}"), Validity::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let key = key();
        let certificate = params.self_signed(&key).expect("a CA can be signed");
        Self {
            inner: Arc::new(Ca {
                certificate: certificate.der().clone(),
                pem: certificate.pem(),
                issuer: Issuer::new(params, key),
                files: Arc::default(),
            }),
        }
    }

    /// A server's certificate for these names and addresses.
    ///
    /// # Panics
    ///
    /// If a name is neither an IP address nor ASCII.
    #[must_use]
    #[track_caller]
    pub fn server<const N: usize>(&self, names: [&str; N]) -> TestCertificate {
        self.issue(names, "server", SERVER, Validity::Now)
    }

    /// The same, expired in 2001.
    ///
    /// # Panics
    ///
    /// As [`server`](Self::server).
    #[must_use]
    #[track_caller]
    pub fn expired_server<const N: usize>(&self, names: [&str; N]) -> TestCertificate {
        self.issue(names, "server", SERVER, Validity::Past)
    }

    /// The same, valid from the year 4000 on.
    ///
    /// # Panics
    ///
    /// As [`server`](Self::server).
    #[must_use]
    #[track_caller]
    pub fn future_server<const N: usize>(&self, names: [&str; N]) -> TestCertificate {
        self.issue(names, "server", SERVER, Validity::Future)
    }

    /// A client's certificate with this common name.
    #[must_use]
    pub fn client(&self, common_name: &str) -> TestCertificate {
        self.issue([], common_name, CLIENT, Validity::Now)
    }

    /// The same, expired in 2001.
    #[must_use]
    pub fn expired_client(&self, common_name: &str) -> TestCertificate {
        self.issue([], common_name, CLIENT, Validity::Past)
    }

    /// Its own certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.inner.certificate
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.inner.pem
    }

    /// A file with its own certificate, PEM.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    #[must_use]
    #[track_caller]
    pub fn cert_path(&self) -> PathBuf {
        self.inner.files.write("ca.pem", &self.inner.pem)
    }

    /// What rustls needs to trust it, and nobody else.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.inner.certificate.clone())
            .expect("the authority's certificate can be read");
        roots
    }

    /// A client that trusts it, and shows `certificate` if there is one. TLS 1.2 and 1.3, without
    /// ALPN.
    #[must_use]
    pub fn client_config(&self, certificate: Option<&TestCertificate>) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect(VERSIONS)
            .with_root_certificates(self.roots());
        match certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => config
                .with_client_auth_cert(certificate.chain(), certificate.inner.key.clone_key())
                .expect("key and certificate belong together"),
        }
    }

    #[track_caller]
    fn issue<const N: usize>(
        &self,
        names: [&str; N],
        common_name: &str,
        purpose: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> TestCertificate {
        let mut params = params(names, common_name, validity);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = key();
        let certificate = params
            .signed_by(&key, &self.inner.issuer)
            .expect("a certificate can be signed");
        TestCertificate {
            inner: Arc::new(Leaf {
                certificate: certificate.der().clone(),
                cert_pem: certificate.pem(),
                key_pem: key.serialize_pem(),
                key: PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS #8"),
                number: self.inner.files.issued.fetch_add(1, Ordering::Relaxed),
                files: Arc::clone(&self.inner.files),
            }),
        }
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCa").finish_non_exhaustive()
    }
}

// === impl TestCertificate ===

impl TestCertificate {
    /// The certificate, DER: what the other side says it has seen.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.inner.certificate
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.inner.cert_pem
    }

    /// Its key, PEM (PKCS #8).
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.inner.key_pem
    }

    /// A file with the certificate, PEM.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    #[must_use]
    #[track_caller]
    pub fn cert_path(&self) -> PathBuf {
        let name = format!("{}_cert.pem", self.inner.number);
        self.inner.files.write(&name, &self.inner.cert_pem)
    }

    /// A file with its key, PEM (PKCS #8).
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    #[must_use]
    #[track_caller]
    pub fn key_path(&self) -> PathBuf {
        let name = format!("{}_key.pem", self.inner.number);
        self.inner.files.write(&name, &self.inner.key_pem)
    }

    /// A server that shows it, and that asks for a client's certificate of `client_ca` if there is
    /// one. TLS 1.2 and 1.3, without ALPN.
    #[must_use]
    pub fn server_config(&self, client_ca: Option<&TestCa>) -> ServerConfig {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect(VERSIONS);
        let config = match client_ca {
            None => config.with_no_client_auth(),
            Some(ca) => config.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider())
                    .build()
                    .expect("there is a root"),
            ),
        };
        config
            .with_single_cert(self.chain(), self.inner.key.clone_key())
            .expect("key and certificate belong together")
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.inner.certificate.clone()]
    }
}

impl fmt::Debug for TestCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCertificate").finish_non_exhaustive()
    }
}

// === impl Files ===

impl Files {
    #[track_caller]
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let directory = self
            .directory
            .get_or_init(|| tempfile::tempdir().expect("a temporary directory can be made"));
        let path = directory.path().join(name);
        if !path.exists() {
            // Whole or not there: two may ask at once.
            let draft = self.draft(directory.path(), content);
            fs::rename(draft, &path).expect("a temporary file can be renamed");
        }
        path
    }

    fn draft(&self, directory: &Path, content: &str) -> PathBuf {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{number}.draft"));
        fs::write(&path, content).expect("a temporary file can be written");
        path
    }
}

#[track_caller]
fn params<const N: usize>(
    names: [&str; N],
    common_name: &str,
    validity: Validity,
) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.map(str::to_owned)).expect("names are IP addresses or ASCII");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let (from, to) = match validity {
        Validity::Now => (1975, 4096),
        Validity::Past => (2000, 2001),
        Validity::Future => (4000, 4096),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has random bytes")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

static AUTHORITIES: AtomicUsize = AtomicUsize::new(1);

const SERVER: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ServerAuth;
const CLIENT: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ClientAuth;
const VERSIONS: &str = "ring has both versions of TLS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_memory_does_and_go_with_the_last() {
        let ca = TestCa::new();
        let (one, other) = (ca.server(["localhost"]), ca.client("users"));
        for (path, text) in [
            (ca.cert_path(), ca.pem()),
            (one.cert_path(), one.cert_pem()),
            (one.key_path(), one.key_pem()),
            (other.cert_path(), other.cert_pem()),
            (other.key_path(), other.key_pem()),
        ] {
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(one.cert_path(), one.cert_path());
        assert_ne!(one.cert_path(), other.cert_path());
        let path = other.cert_path();
        drop((ca, one));
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }
}
