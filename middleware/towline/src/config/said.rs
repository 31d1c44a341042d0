use std::fmt;

use super::origin::Origin;

/// A value, and where it was said.
#[derive(Clone)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
    /// Where the parts of the value stand, by the way to them.
    parts: Vec<(String, Origin)>,
}

// === impl Said ===

impl<T> Said<T> {
    pub(crate) const fn new(value: T, origin: Origin) -> Self {
        Self {
            value,
            origin,
            parts: Vec::new(),
        }
    }

    pub(crate) fn with_parts(mut self, parts: Vec<(String, Origin)>) -> Self {
        self.parts = parts;
        self
    }

    /// Where a part of the value was said, such as `[1].key_file`.
    pub(crate) fn part(&self, path: &str) -> Origin {
        match self.parts.iter().find(|(known, _)| known == path) {
            Some((_, origin)) => origin.clone(),
            None => self.origin.part(path, None),
        }
    }
}

/// The value alone: a configuration is what it says, wherever it says so.
impl<T: fmt::Debug> fmt::Debug for Said<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
