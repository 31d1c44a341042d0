//! A YAML document as a tree that knows where everything stands.
//!
//! It is read as a whole first and judged after, so that one look finds every mistake, and each can be shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter, Spanned};

/// A value and its place, line and column each from 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: (u64, u64),
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Why there is no tree.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) place: Option<(u64, u64)>,
    pub(crate) message: String,
}

struct AnyValue;

/// The document in a file.
pub(crate) fn read(path: &Path) -> Result<Node, Unreadable> {
    let text = text(path).map_err(|error| Unreadable {
        place: None,
        message: format!("the file cannot be read: expected YAML: {error}"),
    })?;
    parse(&text)
}

pub(crate) fn parse(text: &str) -> Result<Node, Unreadable> {
    let options = serde_saphyr::options! {
        // Whether `yes` is a boolean is for the key to say.
        strict_booleans: true,
        // Told like any other mistake, beside the others.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| (at.line(), at.column()));
        let message = DefaultMessageFormatter.format_message(&error);
        Unreadable {
            place,
            message: format!("this is not YAML: {}", in_one_line(&message)),
        }
    })
}

/// The text of a file of a bounded size: a path such as `/dev/zero` must not fill the memory.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {MAX_FILE_BYTES} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            place: (spanned.referenced.line(), spanned.referenced.column()),
            value: spanned.value,
        })
    }
}

// === impl Value ===

impl Value {
    /// Whether nothing is said: null, or an empty text as templates leave it.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// As an error shows it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("empty"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => match text.char_indices().nth(MAX_SHOWN_CHARS) {
                Some((end, _)) => write!(f, "{:?}…", text.get(..end).unwrap_or_default()),
                None => write!(f, "{text:?}"),
            },
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a mapping"),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        // Beyond everything that is accepted, here or there.
        Ok(Value::Integer(value.try_into().unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Value::Map(pairs))
    }
}

/// Far more than a configuration or a list of tokens has.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Characters of a value that an error shows.
const MAX_SHOWN_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_knows_where_it_stands() {
        let document = parse("a: 1\nb:\n  - yes\n  - { c: ~ }\n").unwrap();
        let Value::Map(pairs) = document.value else {
            panic!("{document:?}");
        };
        let places: Vec<_> = pairs
            .iter()
            .map(|(key, of)| (key.place, of.place))
            .collect();
        assert_eq!(places, [((1, 1), (1, 4)), ((2, 1), (3, 3))]);
        let Value::List(list) = &pairs[1].1.value else {
            panic!("{pairs:?}");
        };
        assert_eq!(list[0].value, Value::Text("yes".to_owned()));
        assert_eq!((list[0].place, list[1].place), ((3, 5), (4, 5)));
    }

    #[test]
    fn what_is_no_yaml_has_a_place_and_one_line() {
        for (text, line) in [
            ("a: [", 1),
            ("a: { b: c }\n\td: e", 2),
            ("a: b\n---\nc: d", 3),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!(wrong.place.map(|(line, _)| line), Some(line), "{wrong:?}");
            assert!(!wrong.message.contains('\n'), "{wrong:?}");
        }
    }

    #[test]
    fn aliases_and_nesting_cannot_fill_the_memory() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            bomb += &format!("a{level}: &a{level} [{before}]\n");
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
