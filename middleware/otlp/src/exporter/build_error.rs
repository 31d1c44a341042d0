use std::error::Error;
use std::fmt;

/// Why an exporter cannot be built.
#[derive(Debug)]
pub struct BuildError {
    kind: BuildErrorKind,
    message: String,
    option: Option<&'static str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The cases of [`BuildError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// Nobody said where spans go.
    NoTransport,
    /// The exporter URL cannot be read; the source is an [`EndpointError`](crate::EndpointError).
    Endpoint,
    /// The transport for the URL cannot be had; the source is a
    /// [`TransportError`](crate::TransportError).
    Transport,
    /// An option has a value that makes no sense, alone or with another.
    Option,
    /// The export thread cannot be started; the source is an [`std::io::Error`].
    Thread,
}

// === impl BuildError ===

impl BuildError {
    pub(super) fn new(kind: BuildErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            option: None,
            source: None,
        }
    }

    pub(super) const fn with_option(mut self, option: &'static str) -> Self {
        self.option = Some(option);
        self
    }

    pub(super) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> BuildErrorKind {
        self.kind
    }

    /// The option of [`ExporterBuilder`](crate::ExporterBuilder) whose value makes no sense, for
    /// [`BuildErrorKind::Option`]: the name of its method.
    #[must_use]
    pub const fn option(&self) -> Option<&'static str> {
        self.option
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
