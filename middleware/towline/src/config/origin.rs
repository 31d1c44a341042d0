use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where something was said: what an error begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    subject: Subject,
    place: Place,
}

/// A file and a position in it, as far as there are such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Option<Arc<Path>>,
    /// Line and column, each from 1.
    pub(crate) position: Option<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    /// A key of a configuration, with the way to the part of its value that is meant.
    Key(Cow<'static, str>),
    /// An environment variable.
    Variable(&'static str),
    /// An argument of a command line.
    Flag(&'static str),
}

// === impl Origin ===

impl Origin {
    pub(crate) fn key(name: impl Into<Cow<'static, str>>, place: Place) -> Self {
        Self {
            subject: Subject::Key(name.into()),
            place,
        }
    }

    /// A setter that has the name of the key.
    pub(crate) fn code(name: &'static str) -> Self {
        Self::key(name, Place::default())
    }

    pub(crate) fn variable(name: &'static str) -> Self {
        Self {
            subject: Subject::Variable(name),
            place: Place::default(),
        }
    }

    pub(crate) fn flag(name: &'static str) -> Self {
        Self {
            subject: Subject::Flag(name),
            place: Place::default(),
        }
    }

    /// A part of the value, such as `[1].key_file`.
    pub(crate) fn part(&self, path: &str, position: Option<(u64, u64)>) -> Self {
        let subject = match &self.subject {
            Subject::Key(key) => Subject::Key(format!("{key}{path}").into()),
            other => other.clone(),
        };
        Self {
            subject,
            place: self.place.at(position),
        }
    }

    pub(crate) const fn is_variable(&self) -> bool {
        matches!(self.subject, Subject::Variable(_))
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The key, the variable or the argument.
    pub(crate) fn name(&self) -> &str {
        match &self.subject {
            Subject::Key(key) => key,
            Subject::Variable(name) | Subject::Flag(name) => name,
        }
    }

    /// [`name`](Self::name) as a sentence has it.
    pub(crate) fn subject(&self) -> impl fmt::Display + '_ {
        &self.subject
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "`{key}`"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

// === impl Place ===

impl Place {
    /// The same file, and there.
    pub(crate) fn at(&self, position: Option<(u64, u64)>) -> Self {
        Self {
            file: self.file.clone(),
            position: position.or(self.position),
        }
    }
}

/// As the beginning of an error.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.position) {
            (Some(file), Some((line, column))) => {
                write!(f, "{}:{line}:{column}: ", file.display())
            }
            (Some(file), None) => write!(f, "{}: ", file.display()),
            (None, Some((line, column))) => write!(f, "line {line}, column {column}: "),
            (None, None) => Ok(()),
        }
    }
}
