//! Every mistake of a configuration, each with its place.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::yaml::{Node, Unreadable, Value};

/// What is wrong with a configuration: one line for each mistake, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Problems {
    file: PathBuf,
    found: Vec<((u64, u64), String)>,
}

/// A mapping of which every key is known.
#[derive(Clone, Debug)]
pub(crate) struct Mapping<'a> {
    path: String,
    place: (u64, u64),
    entries: Vec<(&'a str, &'a Node)>,
}

/// A value, with the key and the place that a later error about it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) key: String,
    pub(crate) place: (u64, u64),
}

// === impl Problems ===

impl Problems {
    pub(crate) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            found: vec![],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// A mistake at a place of the file.
    pub(crate) fn at(&mut self, (line, column): (u64, u64), message: impl fmt::Display) {
        let file = self.file.display();
        let message = format!("{file}:{line}:{column}: {message}");
        self.found.push(((line, column), message));
    }

    /// A mistake that says itself where it is.
    pub(crate) fn elsewhere(&mut self, message: impl fmt::Display) {
        self.found.push(((u64::MAX, 0), message.to_string()));
    }

    /// A mistake with a value that could be read.
    pub(crate) fn with<T>(&mut self, said: &Said<T>, wrong: impl fmt::Display) {
        self.at(said.place, format_args!("`{}` {wrong}", said.key));
    }

    pub(crate) fn unreadable(&mut self, error: &Unreadable) {
        match error.place {
            Some(place) => self.at(place, &error.message),
            None => self.elsewhere(format!("{}: {}", self.file.display(), error.message)),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut found: Vec<_> = self.found.iter().collect();
        found.sort_by_key(|(place, _)| *place);
        for (index, (_, message)) in found.into_iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

// === impl Mapping ===

impl<'a> Mapping<'a> {
    /// A mapping of these keys. What it has beside them, or twice, is a mistake; nothing at all is an empty one.
    pub(crate) fn new(path: &str, node: &'a Node, keys: &[&str], problems: &mut Problems) -> Self {
        let mut mapping = Self {
            path: path.to_owned(),
            place: node.place,
            entries: vec![],
        };
        let pairs = match &node.value {
            Value::Map(pairs) => pairs.as_slice(),
            nothing if nothing.is_nothing() => &[],
            other => {
                let what = match path {
                    "" => "the document".to_owned(),
                    path => format!("`{path}`"),
                };
                problems.at(
                    node.place,
                    format_args!("{what} is {other}: expected a mapping of {}", listed(keys)),
                );
                &[]
            }
        };
        for (key, node) in pairs {
            let name = key.value.as_text().unwrap_or_default();
            if !keys.contains(&name) {
                let known = listed(keys);
                let shown = match &key.value {
                    Value::Text(name) => mapping.key(name),
                    other => other.to_string(),
                };
                problems.at(
                    key.place,
                    format_args!("unknown key `{shown}`: expected one of {known}"),
                );
            } else if mapping.entries.iter().any(|(known, _)| *known == name) {
                let key_path = mapping.key(name);
                problems.at(
                    key.place,
                    format_args!("`{key_path}` is given twice: expected it once"),
                );
            } else {
                mapping.entries.push((name, node));
            }
        }
        mapping
    }

    /// A mistake with the whole of it.
    pub(crate) fn wrong(&self, problems: &mut Problems, wrong: impl fmt::Display) {
        problems.at(self.place, format_args!("`{}` {wrong}", self.path));
    }

    /// The mapping under a key; an empty one if there is none.
    pub(crate) fn section(
        &self,
        key: &'static str,
        keys: &[&str],
        problems: &mut Problems,
    ) -> Self {
        let path = self.key(key);
        match self.get(key) {
            Some(node) => Self::new(&path, node, keys, problems),
            None => Self {
                path,
                place: self.place,
                entries: vec![],
            },
        }
    }

    /// The value of a key, if something is said and can be read.
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        expected: &str,
        problems: &mut Problems,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<Said<T>> {
        let node = self.get(key)?;
        let key = self.key(key);
        match read(&node.value) {
            Some(value) => Some(Said {
                value,
                key,
                place: node.place,
            }),
            None => {
                let value = &node.value;
                problems.at(
                    node.place,
                    format_args!("`{key}` is {value}: expected {expected}"),
                );
                None
            }
        }
    }

    /// The value of a key, or a default where nothing is said that can be read.
    pub(crate) fn or<T>(
        &self,
        key: &'static str,
        expected: &str,
        problems: &mut Problems,
        read: impl FnOnce(&Value) -> Option<T>,
        default: impl FnOnce() -> T,
    ) -> T {
        self.read(key, expected, problems, read)
            .map_or_else(default, |said| said.value)
    }

    /// The values of a list, those that can be read.
    pub(crate) fn read_list<T>(
        &self,
        key: &'static str,
        expected: &str,
        problems: &mut Problems,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Vec<Said<T>> {
        let Some(node) = self.get(key) else {
            return vec![];
        };
        let key = self.key(key);
        let Value::List(items) = &node.value else {
            problems.at(
                node.place,
                format_args!(
                    "`{key}` is {}: expected a list, each {expected}",
                    node.value
                ),
            );
            return vec![];
        };
        let mut values = vec![];
        for (index, Node { place, value }) in items.iter().enumerate() {
            let key = format!("{key}[{index}]");
            match read(value) {
                Some(value) => values.push(Said {
                    value,
                    key,
                    place: *place,
                }),
                None => problems.at(
                    *place,
                    format_args!("`{key}` is {value}: expected {expected}"),
                ),
            }
        }
        values
    }

    /// What stands under a key, unless it says nothing.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(name, _)| *name == key)?;
        Some(node).filter(|node| !node.value.is_nothing()).copied()
    }

    /// The whole path of a key in here.
    fn key(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

fn listed(keys: &[&str]) -> String {
    let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}
