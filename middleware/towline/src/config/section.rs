//! A mapping of keys into settings: every key known, given once, and of the right kind.

use super::node::{Node, Value};
use super::origin::{Origin, Place};
use super::problem::{Problem, Problems};
use super::read::Entry;
use super::settings::{KEYS, OTHERS, Settings};
use super::suggest;
use crate::StartErrorKind;

/// A key, and what its value does to the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// The first is what it is called; others are accepted.
    pub(crate) names: &'static [&'static str],
    pub(crate) read: Read,
}

/// Takes a value that is there, and not empty.
pub(crate) type Read = fn(&mut Settings, Entry, &mut Problems);

/// What may stand in a section.
#[derive(Clone, Debug)]
pub(super) struct Grammar {
    /// What to call it.
    pub(super) name: &'static str,
    pub(super) fields: Vec<Field>,
    /// Keys of other formats, and what they are called here.
    pub(super) others: &'static [(&'static str, &'static str)],
}

/// What was read, good or bad.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) settings: Settings,
    /// The names of the keys that are there and are not in the settings, since their values cannot be used.
    pub(crate) broken: Vec<&'static str>,
    pub(crate) problems: Problems,
}

// === impl Grammar ===

impl Grammar {
    /// The section as the [table](super::settings) has it.
    pub(super) fn of_settings(name: &'static str) -> Self {
        Self {
            name,
            fields: KEYS.iter().map(|key| key.field).collect(),
            others: OTHERS,
        }
    }

    /// Reads a section; null is one without keys.
    pub(super) fn read(&self, node: Node, place: &Place) -> Reading {
        let mut reading = Reading::default();
        let place = place.at(node.position);
        let pairs = match node.value {
            Value::Map(pairs) => pairs,
            _ if node.is_nothing() => return reading,
            value => {
                let rest = format!(
                    "{} is {value}: expected a mapping of keys such as `{}`",
                    self.name,
                    self.fields.first().map_or("", |field| field.name())
                );
                reading.problems.push(
                    Problem::new(StartErrorKind::Config, rest)
                        .with_origin(&Origin::key(self.name.trim_matches('`'), place)),
                );
                return reading;
            }
        };
        let mut seen = Vec::new();
        for (key, node) in pairs {
            let there = place.at(key.position);
            let field = key
                .as_text()
                .and_then(|name| self.fields.iter().find(|field| field.names.contains(&name)));
            let Some(field) = field else {
                reading.problems.push(self.unknown(&key, there));
                continue;
            };
            let name = field.name();
            if seen.contains(&name) {
                let rest = match field.names {
                    [_] => " is given twice: expected it once".to_owned(),
                    [_, others @ ..] => format!(
                        ", or its other name `{}`, is given twice: expected it once",
                        others.join("`, `")
                    ),
                    [] => String::new(),
                };
                let origin = Origin::key(name, there);
                reading
                    .problems
                    .push(Problem::of(StartErrorKind::Config, &origin, rest));
                continue;
            }
            seen.push(name);
            if node.is_nothing() {
                continue;
            }
            // By the name that was written.
            let written = key.as_text().unwrap_or(name).to_owned();
            let origin = Origin::key(written, place.at(node.position));
            let before = reading.problems.count();
            (field.read)(
                &mut reading.settings,
                Entry { origin, node },
                &mut reading.problems,
            );
            if reading.problems.count() > before {
                reading.broken.push(name);
            }
        }
        reading
    }

    fn unknown(&self, key: &Node, place: Place) -> Problem {
        let names: Vec<_> = self.fields.iter().map(Field::name).collect();
        let every: Vec<_> = self
            .fields
            .iter()
            .flat_map(|field| field.names)
            .copied()
            .collect();
        let near = key.as_text().and_then(|given| {
            let same = |(other, _): &&(&str, _)| *other == given;
            let other = self.others.iter().find(same).map(|(_, name)| *name);
            other.or_else(|| suggest::nearest(given, &every))
        });
        let shown = match &key.value {
            Value::Text(text) if text.len() <= MAX_SHOWN_BYTES => {
                format!("`{}`", text.escape_debug())
            }
            value => value.to_string(),
        };
        let message = match near {
            Some(near) => format!("unknown key {shown}: did you mean `{near}`?"),
            None => format!(
                "unknown key {shown}: expected one of `{}`",
                names.join("`, `")
            ),
        };
        let name = key.as_text().unwrap_or_default().to_owned();
        Problem::new(StartErrorKind::Config, message).with_origin(&Origin::key(name, place))
    }
}

// === impl Field ===

impl Field {
    pub(crate) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

/// Of an unknown key.
const MAX_SHOWN_BYTES: usize = 100;
