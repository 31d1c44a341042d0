//! The section out of a YAML document.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::{DefaultMessageFormatter, Error as YamlError, MessageFormatter};

use super::section::Section;
use super::value::Value;
use super::{Config, ConfigError, ConfigErrorKind};

/// The sections of a document that are ours. What else is in it is somebody else's, whatever it looks like.
#[derive(Default)]
struct Document {
    tracing_service: Option<Config>,
    tracing: Option<Config>,
}

struct DocumentVisitor;

pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: io::Error| {
        ConfigError::new(
            ConfigErrorKind::Read,
            "the configuration cannot be read: expected a YAML file",
        )
        .with_source(error)
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::new(
            ConfigErrorKind::Read,
            format!("the configuration is too large: expected at most {MAX_FILE_BYTES} bytes"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        ConfigError::new(
            ConfigErrorKind::Syntax,
            "the configuration is not text: expected YAML in UTF-8",
        )
        .with_source(error)
    })
}

pub(super) fn section(text: &str) -> Result<Config, ConfigError> {
    let options = serde_saphyr::options! {
        // Whether `yes` is a boolean is for the key to say: a service may be called that.
        strict_booleans: true,
        with_snippet: false,
    };
    let document: Document =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| in_words(&error))?;
    match (document.tracing_service, document.tracing) {
        (Some(_), Some(_)) => Err(ConfigError::new(
            ConfigErrorKind::Setting,
            "`tracing_service` and `tracing` are both given: expected one of them",
        )),
        (section, other) => Ok(section.or(other).unwrap_or_default()),
    }
}

fn in_words(error: &YamlError) -> ConfigError {
    let kind = match error {
        YamlError::Message { .. }
        | YamlError::SerdeInvalidType { .. }
        | YamlError::SerdeInvalidValue { .. }
        | YamlError::SerdeUnknownField { .. }
        | YamlError::SerdeMissingField { .. }
        | YamlError::DuplicateMappingKey { .. } => ConfigErrorKind::Setting,
        _ => ConfigErrorKind::Syntax,
    };
    let message = match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => format!(
            "unknown key `{field}`: expected one of `{}`",
            expected.join("`, `")
        ),
        YamlError::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => format!("{unexpected} is out of place: expected {expected}"),
        YamlError::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("`{key}` is given twice: expected it once"),
            None => "a key is given twice: expected it once".to_owned(),
        },
        YamlError::MultipleDocuments { .. } => "a second document begins: expected one".to_owned(),
        _ => DefaultMessageFormatter.format_message(error).into_owned(),
    };
    let position = error
        .location()
        .map(|location| (location.line(), location.column()));
    ConfigError::new(kind, message).with_position(position)
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
        while let Some(key) = map.next_key::<Value>()? {
            match key {
                Value::Text(key) if key == TRACING_SERVICE => {
                    document.tracing_service =
                        map.next_value_seed(Section::named("`tracing_service`"))?;
                }
                Value::Text(key) if key == TRACING => {
                    document.tracing = map.next_value_seed(Section::named("`tracing`"))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(document)
    }
}

/// Teleport's name for the section.
const TRACING_SERVICE: &str = "tracing_service";

/// RFD 65's name for it.
const TRACING: &str = "tracing";

/// Far more than a configuration has; it keeps a path such as `/dev/zero` from filling the memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
