use std::fmt;
use std::path::PathBuf;

use crate::Config;

/// Where a setting was made, as an error begins with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A key of a configuration, in a file or not.
    Key(Option<PathBuf>, &'static str),
    /// An environment variable.
    Variable(&'static str),
}

// === impl Origin ===

impl Origin {
    pub(super) fn of(config: &Config, key: &'static str) -> Self {
        Self::Key(config.file().map(ToOwned::to_owned), key)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(Some(file), key) => write!(f, "{}: `{key}`", file.display()),
            Self::Key(None, key) => write!(f, "`{key}`"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}
