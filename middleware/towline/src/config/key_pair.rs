use std::path::{Path, PathBuf};

/// A client certificate and its private key, with which the exporter identifies itself to the collector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPair {
    key_file: PathBuf,
    cert_file: PathBuf,
}

// === impl KeyPair ===

impl KeyPair {
    /// The PEM files of the private key and of the certificate chain. Relative paths count from the working directory.
    #[must_use]
    pub fn new(key_file: impl Into<PathBuf>, cert_file: impl Into<PathBuf>) -> Self {
        Self {
            key_file: key_file.into(),
            cert_file: cert_file.into(),
        }
    }

    /// The PEM file of the private key.
    #[must_use]
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// The PEM file of the certificate chain.
    #[must_use]
    pub fn cert_file(&self) -> &Path {
        &self.cert_file
    }
}
