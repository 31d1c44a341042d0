//! Certificates, and connections that use them.

mod pem;

#[cfg(feature = "_hyper")]
mod certificate;
#[cfg(feature = "_hyper")]
mod config;
#[cfg(feature = "_hyper")]
mod dialer;
#[cfg(feature = "_hyper")]
mod failure;
#[cfg(feature = "_hyper")]
mod identity;
#[cfg(feature = "_hyper")]
mod secured;

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "_hyper")]
pub(super) use self::dialer::Dialer;
#[cfg(feature = "_hyper")]
pub(super) use self::failure::is_failure;
use self::pem::Pem;

/// Whom a client trusts, and who it is: options of TLS.
///
/// - **Trust**: the system's roots, or, as soon as one is given, [CA certificates](Self::ca_cert)
///   alone. The host in the URL, a name or an address, must be one of those in the server's
///   certificate. There is no way to switch checks off.
/// - **Identity** (mTLS): [key pairs](Self::key_pair), of which the server's request chooses one.
/// - TLS 1.2 and 1.3 by rustls, with *ring* for the cryptography: neither a process-wide default of
///   rustls is needed, nor does one change anything.
///
/// Files are read when the transport is made, once; they are at most 4 MiB each, in PEM. What is
/// wrong with one is a [`TransportError`](crate::TransportError) of the kind
/// [`Tls`](crate::TransportErrorKind::Tls) that names it:
///
/// | file | is refused if |
/// |---|---|
/// | any | it is missing, a directory, too large, or cannot be read |
/// | CA certificates | there is none in it, one cannot be read, or none of them is valid at the time |
/// | certificate of a key pair | there is none in it, or its first has expired or is not valid yet |
/// | key | there is none in it, it is encrypted, of a kind that cannot be used, or not the certificate's |
///
/// What a server then thinks of it, and we of the server, is known when the first batch is sent: it
/// is an [`ExportError`](crate::ExportError) whose sources say what is wrong.
///
/// # Examples
///
/// ```no_run
/// # #[cfg(feature = "grpc")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use towline_otlp::{ClientOptions, Exporter, Tls};
///
/// let tls = Tls::new()
///     .ca_cert("/etc/app/exporter_ca.pem")
///     .key_pair("/etc/app/exporter.crt", "/etc/app/exporter.key");
/// let (processor, exporter) = Exporter::builder()
///     .url("grpcs://collector.example.com:4317")
///     .client(ClientOptions::new().tls(tls))
///     .build()?;
/// # drop((processor, exporter));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "grpc"))]
/// # fn main() {}
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Tls {
    ca_certs: Vec<Pem>,
    key_pairs: Vec<KeyPair>,
}

#[derive(Clone)]
struct KeyPair {
    /// The certificate of the key first, then those that lead to a CA.
    certificates: Pem,
    key: Pem,
}

// === impl Tls ===

impl Tls {
    /// The system's roots, and no identity.
    ///
    /// Where they are is the platform's: on Linux where OpenSSL looks, or what `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` say. They are read only if no CA certificates are given.
    pub const fn new() -> Self {
        Self {
            ca_certs: Vec::new(),
            key_pairs: Vec::new(),
        }
    }

    /// Trusts the certificates in a PEM file, and those in further ones, in place of the system's
    /// roots.
    pub fn ca_cert(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_certs.push(Pem::File(path.into()));
        self
    }

    /// [`ca_cert`](Self::ca_cert) for PEM text in memory.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca_certs.push(Pem::text(pem.as_ref()));
        self
    }

    /// A certificate, followed by those that lead to a CA, and its private key: two PEM files, or
    /// one and the same.
    ///
    /// Of several key pairs the server gets the first whose issuer it says to accept and whose key
    /// can sign as it wants; if it accepts none, the first that can sign.
    pub fn key_pair(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.key_pairs.push(KeyPair {
            certificates: Pem::File(cert.into()),
            key: Pem::File(key.into()),
        });
        self
    }

    /// [`key_pair`](Self::key_pair) for PEM text in memory.
    pub fn key_pair_pem(mut self, cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.key_pairs.push(KeyPair {
            certificates: Pem::text(cert.as_ref()),
            key: Pem::text(key.as_ref()),
        });
        self
    }

    /// Reads every file that is given, as it is done when a transport is made, and keeps nothing.
    ///
    /// Without a transport that could use them (the features `grpc` and `http`) nothing is read.
    ///
    /// # Errors
    ///
    /// The first [`TransportError`](crate::TransportError) that there is: see the table above.
    pub fn check(&self) -> Result<(), crate::TransportError> {
        #[cfg(feature = "_hyper")]
        return config::check(self, std::time::SystemTime::now());
        #[cfg(not(feature = "_hyper"))]
        return Ok(());
    }

    /// Whether anything is given that is not the default.
    #[cfg(feature = "_hyper")]
    pub(super) const fn has_certificates(&self) -> bool {
        !self.ca_certs.is_empty() || !self.key_pairs.is_empty()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca_certs", &self.ca_certs)
            .field("key_pairs", &self.key_pairs)
            .finish()
    }
}

// === impl KeyPair ===

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair")
            .field(&self.certificates)
            .field(&self.key)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_shown_and_what_is_in_memory_is_not() {
        let tls = Tls::new()
            .ca_cert("/etc/ca.pem")
            .key_pair("/etc/cert.pem", "/etc/key.pem")
            .key_pair_pem("hunter1", b"hunter2");
        let shown = format!("{tls:?}");
        for path in ["/etc/ca.pem", "/etc/cert.pem", "/etc/key.pem"] {
            assert!(shown.contains(path), "{shown}");
        }
        assert!(shown.contains("(7 bytes)"), "{shown}");
        // Not as numbers either.
        assert!(
            !shown.contains("hunter") && !shown.contains("104"),
            "{shown}"
        );
    }
}
