//! The section out of a YAML document.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{DefaultMessageFormatter, Error as YamlError, MessageFormatter};

use super::kubernetes;
use super::node::{Node, Placed};
use super::origin::{Origin, Place};
use super::problem::Problem;
use super::section::{Grammar, Reading};
use super::{Config, ConfigError, ConfigErrorKind};
use crate::StartErrorKind;

/// What of a document may be ours. What else is in it is somebody else's, whatever it looks like.
#[derive(Debug, Default)]
struct Document {
    /// Of [`OURS`], in the order in which they stand there.
    pairs: Vec<(Node, Node)>,
    /// Other keys, for a document that may have none.
    others: Vec<Node>,
}

struct DocumentVisitor;

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let place = || Origin::key("", of_file(path));
    let unreadable = |error: io::Error| {
        ConfigError::new(
            ConfigErrorKind::Read,
            Problem::new(
                StartErrorKind::Config,
                "the configuration cannot be read: expected a YAML file",
            )
            .with_origin(&place())
            .with_source(Arc::new(error) as Arc<_>),
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message =
            format!("the configuration is too large: expected at most {MAX_FILE_BYTES} bytes");
        return Err(ConfigError::new(
            ConfigErrorKind::Read,
            Problem::new(StartErrorKind::Config, message).with_origin(&place()),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        ConfigError::new(
            ConfigErrorKind::Syntax,
            Problem::new(
                StartErrorKind::Config,
                "the configuration is not text: expected YAML in UTF-8",
            )
            .with_origin(&place())
            .with_source(Arc::new(error) as Arc<_>),
        )
    })
}

/// What a document says, with everything that is wrong with it. What is no YAML is the one error of its own.
pub(super) fn parse(text: &str, file: Option<&Path>) -> Result<(Config, Reading), ConfigError> {
    let place = file.map(of_file).unwrap_or_default();
    let options = serde_saphyr::options! {
        // Whether `yes` is a boolean is for the key to say: a service may be called that.
        strict_booleans: true,
        // They are found where they are ours, with all others.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let document: Document = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| in_words(&error, &place))?;
    let (name, there, mut reading) = document.into_reading(&place);
    let section = Origin::key(name, there);
    let settings = std::mem::take(&mut reading.settings);
    Ok((Config::of(settings, section), reading))
}

fn of_file(path: &Path) -> Place {
    Place {
        file: Some(path.into()),
        position: None,
    }
}

fn in_words(error: &YamlError, place: &Place) -> ConfigError {
    let (kind, message) = match error {
        YamlError::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => (
            ConfigErrorKind::Setting,
            format!("{unexpected} is out of place: expected {expected}"),
        ),
        YamlError::MultipleDocuments { .. } => (
            ConfigErrorKind::Syntax,
            "a second document begins: expected one".to_owned(),
        ),
        _ => (
            ConfigErrorKind::Syntax,
            format!(
                "the configuration is no YAML: {}",
                DefaultMessageFormatter.format_message(error)
            ),
        ),
    };
    let position = error
        .location()
        .map(|location| (location.line(), location.column()));
    let origin = Origin::key("", place.at(position));
    let problem = Problem::new(StartErrorKind::Config, message).with_origin(&origin);
    ConfigError::new(kind, problem)
}

// === impl Document ===

impl Document {
    /// The name of the section, where it stands, and what it says.
    fn into_reading(self, place: &Place) -> (&'static str, Place, Reading) {
        let text = |name: &str| {
            let of_name = |(key, _): &&(Node, Node)| key.as_text() == Some(name);
            self.pairs.iter().find(of_name).map(|(_, node)| node)
        };
        let kind = text(KIND).and_then(Node::as_text).unwrap_or_default();
        if kind == kubernetes::KIND {
            let all = self.pairs.into_iter().chain(
                self.others
                    .into_iter()
                    .map(|key| (key, super::node::Value::Null.into())),
            );
            let reading = kubernetes::document(all.collect(), place);
            return (kubernetes::KIND, place.clone(), reading);
        }
        let is_kubelet = kind == kubernetes::KUBELET_KIND;
        let mut found: Option<(&'static str, Place, Reading)> = None;
        for (key, node) in self.pairs {
            let name = match key.as_text() {
                Some(TRACING_SERVICE) => TRACING_SERVICE,
                Some(TRACING) => TRACING,
                _ => continue,
            };
            let there = place.at(key.position);
            let is_empty = node.is_nothing();
            let reading = match name {
                TRACING if kubernetes::is_stanza(&node, is_kubelet) => {
                    kubernetes::stanza(node, place)
                }
                TRACING => Grammar::of_settings("`tracing`").read(node, place),
                _ => Grammar::of_settings("`tracing_service`").read(node, place),
            };
            match &mut found {
                // A section that says nothing does not count.
                Some(_) if is_empty => {}
                Some((first, _, before)) => {
                    let origin = Origin::key(name, there);
                    let rest = if *first == name {
                        " is given twice: expected it once".to_owned()
                    } else {
                        format!(" and `{first}` are both given: expected one of them")
                    };
                    let twice = Problem::of(StartErrorKind::Config, &origin, rest);
                    before.problems.push(twice);
                    before.problems.append(reading.problems);
                    before.broken.extend(reading.broken);
                    before.settings = std::mem::take(&mut before.settings).or(reading.settings);
                }
                None if is_empty => {}
                None => found = Some((name, there, reading)),
            }
        }
        found.unwrap_or_else(|| (TRACING_SERVICE, place.clone(), Reading::default()))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping with the key `{TRACING_SERVICE}`")
    }

    /// An empty file.
    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        while let Some(Placed(key)) = map.next_key()? {
            if key.as_text().is_some_and(|key| OURS.contains(&key)) {
                let Placed(node) = map.next_value()?;
                document.pairs.push((key, node));
            } else {
                map.next_value::<IgnoredAny>()?;
                if document.others.len() < MAX_OTHERS {
                    document.others.push(key);
                }
            }
        }
        Ok(document)
    }
}

/// Teleport's name for the section.
const TRACING_SERVICE: &str = "tracing_service";

/// RFD 65's name for it, and the kubelet's.
const TRACING: &str = "tracing";

const KIND: &str = "kind";

/// The sections, and what a Kubernetes document has.
const OURS: [&str; 6] = [
    TRACING_SERVICE,
    TRACING,
    KIND,
    kubernetes::API_VERSION,
    kubernetes::ENDPOINT,
    kubernetes::SAMPLING_RATE,
];

/// More than that is no document of ours.
const MAX_OTHERS: usize = 200;

/// Far more than a configuration has; it keeps a path such as `/dev/zero` from filling the memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
