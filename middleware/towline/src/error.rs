use std::error::Error;
use std::fmt;

#[cfg(feature = "yaml")]
use crate::ConfigError;

/// Why tracing cannot start.
///
/// Its text names where the setting comes from (the file or the variable), the key, the value and what was expected
/// instead; [`source`](Error::source) is the cause, where the system gave one.
#[derive(Debug)]
pub struct StartError {
    kind: StartErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The cases of [`StartError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartErrorKind {
    /// The configuration file cannot be read, or says what cannot be.
    Config,
    /// Tracing is enabled and nobody said where spans go.
    NoExporter,
    /// Spans cannot go where they should: the URL makes no sense, its transport is not compiled in or not built yet, the
    /// directory cannot be written to, an option of the exporter is out of range, or its thread cannot be started.
    Exporter,
    /// A certificate or a key is not there, or would have no effect.
    Certificates,
    /// Two things were asked for of which only one can be.
    Conflict,
}

// === impl StartError ===

impl StartError {
    pub(crate) fn new(kind: StartErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> StartErrorKind {
        self.kind
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(feature = "yaml")]
impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        let start = Self::new(StartErrorKind::Config, error.to_string());
        match error.into_source() {
            Some(source) => start.with_source(source),
            None => start,
        }
    }
}
