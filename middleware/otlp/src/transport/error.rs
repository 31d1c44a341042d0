use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::Endpoint;

/// Why a transport cannot be had.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    message: String,
    option: Option<&'static str>,
    file: Option<PathBuf>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The cases of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// A certificate or a key cannot be used: the message names the file, what is wrong with it and
    /// what was expected.
    Tls,
    /// The transport, TLS or the compression is not compiled in: the message names the feature.
    /// Nothing is ever sent in plaintext in place of TLS.
    Feature,
    /// The endpoint is for another transport.
    Scheme,
    /// An option of [`ClientOptions`](crate::ClientOptions) that cannot be used, or not for this
    /// endpoint.
    Option,
    /// The platform has no such transport: unix sockets outside of Unix, abstract ones outside of
    /// Linux.
    Platform,
    /// A directory cannot be made or written to, or a socket's path cannot be one; the source is an
    /// [`std::io::Error`].
    Io,
}

// === impl TransportError ===

impl TransportError {
    pub(crate) fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            option: None,
            file: None,
            source: None,
        }
    }

    #[cfg(any(feature = "file", feature = "_hyper"))]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Names the option of [`ClientOptions`](crate::ClientOptions) that is to blame.
    pub(crate) const fn with_option(mut self, option: &'static str) -> Self {
        self.option = Some(option);
        self
    }

    /// Names the file that cannot be used.
    #[cfg(all(feature = "tls", feature = "_hyper"))]
    pub(crate) fn with_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// The endpoint needs something that is not compiled in.
    pub(crate) fn feature(endpoint: &Endpoint, feature: &str) -> Self {
        Self::new(
            TransportErrorKind::Feature,
            format!(
                "{endpoint} needs the feature `{feature}` of towline-otlp, which is not compiled in"
            ),
        )
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// The option of [`ClientOptions`](crate::ClientOptions) that is to blame, if it is one:
    /// `headers`, `user_agent`, `compression` or `tls`.
    #[must_use]
    pub const fn option(&self) -> Option<&'static str> {
        self.option
    }

    /// The certificate or key that cannot be used, if it is in a file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
