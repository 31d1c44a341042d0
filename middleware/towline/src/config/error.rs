use std::error::Error;
use std::fmt;
use std::path::Path;

use super::problem::{Problem, Problems};

/// Why a configuration cannot be used: everything that is wrong with it at once.
///
/// Its text has a line for each [`Problem`], with the file, the line, the key, the value and what was expected instead.
#[derive(Clone, Debug)]
pub struct ConfigError {
    kind: ConfigErrorKind,
    problems: Problems,
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
    pub(crate) fn new(kind: ConfigErrorKind, problems: impl Into<Problems>) -> Self {
        Self {
            kind,
            problems: problems.into().in_order(),
        }
    }

    /// `value`, unless something is wrong with it.
    pub(crate) fn unless<T>(value: T, problems: Problems) -> Result<T, Self> {
        match problems.is_empty() {
            true => Ok(value),
            false => Err(Self::new(ConfigErrorKind::Setting, problems)),
        }
    }

    pub(crate) fn into_problems(self) -> Problems {
        self.problems
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// Everything that is wrong, at least one. Beyond a hundred they are counted and not kept.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.as_slice()
    }

    /// The file, if the configuration came from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.problems.first()?.file()
    }

    /// The line of the first problem, from 1, if it is known.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.problems.first()?.line()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.fmt(f)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problems.source()
    }
}
