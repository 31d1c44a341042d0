use std::time::Duration;

use super::Environment;
use crate::config::{Origin, Said};

/// Reads variables, and keeps what is wrong with them for later: whether anybody should hear of it is not known yet.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    complaints: Vec<String>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) const fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            complaints: Vec::new(),
        }
    }

    /// The value as it stands.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.environment.get(name, &mut self.complaints)
    }

    /// The value of an enumeration, which is case-insensitive.
    pub(super) fn word(&mut self, name: &str) -> Option<String> {
        self.text(name)
            .map(|value| value.trim().to_ascii_lowercase())
    }

    /// A boolean: only `true` is true; anything but `false` beside it is junk.
    pub(super) fn boolean(&mut self, name: &str) -> bool {
        match self.word(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(value) => {
                self.complain(format!("{name} is {value:?}: expected true or false"));
                false
            }
        }
    }

    /// The first of some variables that is set, with its name: the signal's own comes before the general one.
    pub(super) fn first(&mut self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names
            .into_iter()
            .find_map(|name| self.text(name).map(|value| (name, value)))
    }

    /// What `read` makes of a variable, with its name.
    pub(super) fn said<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<Said<T>> {
        let value = read(self, name)?;
        Some(Said::new(value, Origin::variable(name)))
    }

    /// A whole number from 0 on, as limits have it.
    pub(super) fn limit(&mut self, name: &'static str) -> Option<usize> {
        let value = self.text(name)?;
        match value.trim().parse::<u32>() {
            Ok(limit) => Some(limit as usize),
            Err(_) => {
                self.complain(format!(
                    "{name} is {value:?}: expected a whole number, at least 0"
                ));
                None
            }
        }
    }

    /// A whole number from 1 on.
    pub(super) fn count(&mut self, name: &'static str) -> Option<usize> {
        let value = self.text(name)?;
        match value.trim().parse() {
            Ok(count) if count > 0 => Some(count),
            _ => {
                self.complain(format!(
                    "{name} is {value:?}: expected a whole number, at least 1"
                ));
                None
            }
        }
    }

    /// A time in whole milliseconds.
    pub(super) fn milliseconds(&mut self, name: &'static str) -> Option<Duration> {
        let value = self.text(name)?;
        match value.trim().parse() {
            Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
            Err(_) => {
                self.complain(format!(
                    "{name} is {value:?}: expected a whole number of milliseconds"
                ));
                None
            }
        }
    }

    pub(super) fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    pub(super) fn into_complaints(self) -> Vec<String> {
        self.complaints
    }
}
