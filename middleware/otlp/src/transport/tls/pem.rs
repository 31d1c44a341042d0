use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "_hyper")]
pub(super) use self::read::{Fault, certificates, private_key};

/// Where PEM text comes from.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Text(Arc<[u8]>),
}

// === impl Pem ===

impl Pem {
    pub(super) fn text(text: &[u8]) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("given as text"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            // It may be a key.
            Self::Text(text) => write!(f, "({} bytes)", text.len()),
        }
    }
}

#[cfg(feature = "_hyper")]
mod read {
    use std::borrow::Cow;
    use std::io::{self, Read};

    use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::Pem;

    /// What is wrong with a file, as the end of a sentence that begins with its name.
    #[derive(Debug)]
    pub(in super::super) struct Fault {
        pub(in super::super) text: Cow<'static, str>,
        pub(in super::super) source: Option<io::Error>,
    }

    impl From<&'static str> for Fault {
        fn from(text: &'static str) -> Self {
            Self {
                text: text.into(),
                source: None,
            }
        }
    }

    impl From<String> for Fault {
        fn from(text: String) -> Self {
            Self {
                text: text.into(),
                source: None,
            }
        }
    }

    /// All certificates, at least one.
    pub(in super::super) fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let text = bytes(pem)?;
        let certificates = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            // rustls' words show the text as numbers.
            .map_err(|_| Fault::from(TORN))?;
        match certificates.is_empty() {
            true => Err(NO_CERTIFICATE.into()),
            false => Ok(certificates),
        }
    }

    /// The first private key.
    pub(in super::super) fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Fault> {
        let text = bytes(pem)?;
        match PrivateKeyDer::from_pem_slice(&text) {
            Ok(key) => Ok(key),
            Err(_) if ENCRYPTED.into_iter().any(|mark| contains(&text, mark)) => {
                Err(IS_ENCRYPTED.into())
            }
            Err(Error::NoItemsFound) => Err(NO_KEY.into()),
            Err(_) => Err(TORN.into()),
        }
    }

    fn bytes(pem: &Pem) -> Result<Cow<'_, [u8]>, Fault> {
        let path = match pem {
            Pem::Text(text) => return Ok(Cow::Borrowed(text)),
            Pem::File(path) => path,
        };
        let unreadable = |error: io::Error| Fault {
            text: "cannot be read: expected a PEM file".into(),
            source: Some(error),
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err("is a directory: expected a PEM file".into());
        }
        let mut text = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        match text.len() as u64 > MAX_FILE_BYTES {
            true => Err(TOO_LARGE.into()),
            false => Ok(Cow::Owned(text)),
        }
    }

    fn contains(text: &[u8], part: &[u8]) -> bool {
        text.windows(part.len()).any(|window| window == part)
    }

    /// In PKCS #8, and in the older forms.
    const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

    const IS_ENCRYPTED: &str = "is encrypted: expected a key without a passphrase";

    const NO_CERTIFICATE: &str =
        "holds no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----";

    const NO_KEY: &str =
        "holds no private key: expected PEM, which begins with -----BEGIN PRIVATE KEY-----";

    const TORN: &str = "is not whole: expected PEM, base64 between a line of BEGIN and one of END";

    const TOO_LARGE: &str = "is larger than 4 MiB: expected a PEM file";

    /// The certificates of all public CAs take a few hundred KiB.
    const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
}
