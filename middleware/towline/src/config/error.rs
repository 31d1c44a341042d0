use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a configuration cannot be used.
///
/// Its text names the file, the line, the key, the value and what was expected instead.
#[derive(Clone, Debug)]
pub struct ConfigError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ConfigErrorKind,
    message: String,
    file: Option<PathBuf>,
    position: Option<(u64, u64)>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The cases of [`ConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The file cannot be read; the source is an [`std::io::Error`].
    Read,
    /// The text is not YAML.
    Syntax,
    /// A key is unknown or given twice, or a value cannot be used.
    Setting,
}

// === impl ConfigError ===

impl ConfigError {
    pub(super) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            file: None,
            position: None,
            source: None,
        }))
    }

    pub(super) fn with_file(mut self, file: &Path) -> Self {
        self.0.file = Some(file.to_owned());
        self
    }

    /// Line and column, each from 1.
    pub(super) fn with_position(mut self, position: Option<(u64, u64)>) -> Self {
        self.0.position = position;
        self
    }

    pub(super) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn into_source(self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.0.source
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> ConfigErrorKind {
        self.0.kind
    }

    /// The file, if the configuration came from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line, from 1, if it is known.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.0.position.map(|(line, _)| line)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            file,
            position,
            message,
            ..
        } = &*self.0;
        match (file, position) {
            (Some(file), Some((line, column))) => {
                write!(f, "{}:{line}:{column}: ", file.display())?;
            }
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            (None, Some((line, column))) => write!(f, "line {line}, column {column}: ")?,
            (None, None) => {}
        }
        f.write_str(message)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
