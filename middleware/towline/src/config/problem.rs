use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::origin::Origin;
use crate::StartErrorKind;

/// One thing that is wrong with a configuration, the environment or what was said in code.
///
/// Its text is one line: the file, line and column, the key or the variable, the value, and what was expected. Values
/// that may be secrets are left out. [`source`](Error::source) is the cause, where the system gave one.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: StartErrorKind,
    origin: Option<Origin>,
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Everything that is wrong, in the order in which it was found, up to a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    /// How many there are beyond the limit.
    more: usize,
}

// === impl Problem ===

impl Problem {
    /// A sentence of its own.
    pub(crate) fn new(kind: StartErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            origin: None,
            message: message.into(),
            source: None,
        }
    }

    /// A sentence that begins with the key or the variable.
    pub(crate) fn of(kind: StartErrorKind, origin: &Origin, rest: impl fmt::Display) -> Self {
        Self::new(kind, format!("{}{rest}", origin.subject())).with_origin(origin)
    }

    pub(crate) fn with_origin(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Arc<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With what an error says of its causes; what it says itself is told already.
    pub(crate) fn with_causes_of(self, error: &dyn Error) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        match causes.is_empty() {
            true => self,
            false => self.with_source(Box::<dyn Error + Send + Sync>::from(causes.join(": "))),
        }
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> StartErrorKind {
        self.kind
    }

    /// The key, such as `ca_certs[1]`, the environment variable or the argument that is to blame, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.origin.as_ref().map(Origin::name)
    }

    /// The file that it stands in, if it came from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.origin.as_ref()?.place().file.as_deref()
    }

    /// The line, from 1, if it is known.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        Some(self.position()?.0)
    }

    /// The column in characters, from 1, if it is known.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        Some(self.position()?.1)
    }

    fn position(&self) -> Option<(u64, u64)> {
        self.origin.as_ref()?.place().position
    }

    /// With its causes, on one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            origin.place().fmt(f)?;
        }
        f.write_str(&self.message)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

// === impl Problems ===

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(problem);
        } else {
            self.more += 1;
        }
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn append(&mut self, other: Self) {
        for problem in other.list {
            self.push(problem);
        }
        self.more += other.more;
    }

    /// As they stand in the file; what stands nowhere comes last.
    pub(crate) fn in_order(mut self) -> Self {
        self.list
            .sort_by_key(|problem| problem.position().unwrap_or((u64::MAX, u64::MAX)));
        self
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, kept or not.
    pub(crate) const fn count(&self) -> usize {
        self.list.len() + self.more
    }

    pub(crate) fn as_slice(&self) -> &[Problem] {
        &self.list
    }

    pub(crate) fn first(&self) -> Option<&Problem> {
        self.list.first()
    }

    /// The cause, if there is one problem: of several each line has its own.
    pub(crate) fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.list.as_slice() {
            [only] => only.source(),
            _ => None,
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.push(problem);
        problems
    }
}

/// A line each. One alone leaves its cause to [`source`](Problems::source), as errors do.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.list.as_slice() {
            return only.fmt(f);
        }
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.chain())?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// Whoever has made more mistakes has given another file.
const MAX_PROBLEMS: usize = 100;
