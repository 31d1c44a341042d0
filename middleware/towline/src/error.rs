use std::error::Error;
use std::fmt;

use crate::config::{ConfigError, Problem, Problems};

/// Why tracing cannot start: everything that is wrong at once.
///
/// Its text has a line for each [`Problem`], which names where the setting comes from (the file with its line, or the
/// variable), the key, the value and what was expected instead. Of one problem [`source`](Error::source) is the cause,
/// where the system gave one; of several each line ends with its own.
#[derive(Debug)]
pub struct StartError {
    problems: Problems,
}

/// The cases of [`StartError`], and of each [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartErrorKind {
    /// The configuration cannot be read, or says what cannot be.
    Config,
    /// Tracing is enabled and nobody said where spans go.
    NoExporter,
    /// Spans cannot go where they should: the URL makes no sense, its transport is not compiled in or not built yet, the
    /// directory cannot be written to, an option of the exporter is out of range or has no effect, or its thread cannot be
    /// started.
    Exporter,
    /// A certificate or a key is not there, cannot be used, or would have no effect.
    Certificates,
    /// Two things were asked for of which only one can be.
    Conflict,
    /// The collector cannot be reached; only a check looks for that.
    Unreachable,
}

// === impl StartError ===

impl StartError {
    pub(crate) fn new(problems: impl Into<Problems>) -> Self {
        Self {
            problems: problems.into().in_order(),
        }
    }

    /// Which case the first problem is.
    #[must_use]
    pub fn kind(&self) -> StartErrorKind {
        let first = self.problems.first();
        first.map_or(StartErrorKind::Config, Problem::kind)
    }

    /// Everything that is wrong, at least one. Beyond a hundred they are counted and not kept.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.as_slice()
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.fmt(f)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problems.source()
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::new(error.into_problems())
    }
}
