use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What stands in a configuration of any format, before it is known what should stand there.
///
/// Reading it first, and judging it after, is what lets all errors be told at once, each with the key, the value and what
/// was expected, in the same words for every format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Line and column, from 1.
    pub(crate) position: Option<(u64, u64)>,
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

/// Visits a value whose parts are read as `P`.
struct AnyValue<P>(PhantomData<P>);

/// A node that knows where it stands in a YAML text.
#[cfg(feature = "yaml")]
pub(crate) struct Placed(pub(crate) Node);

/// The value of a [`Placed`].
#[cfg(feature = "yaml")]
struct PlacedValue(Value);

// === impl Node ===

impl Node {
    /// Whether nothing is said: null, or an empty text as templates leave it.
    pub(crate) fn is_nothing(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    pub(crate) const fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self {
            value,
            position: None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(AnyValue::<Self>(PhantomData))?;
        Ok(value.into())
    }
}

// === impl Placed ===

#[cfg(feature = "yaml")]
impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<PlacedValue>::deserialize(deserializer)?;
        let (line, column) = (spanned.referenced.line(), spanned.referenced.column());
        Ok(Self(Node {
            value: spanned.value.0,
            position: (line > 0).then_some((line, column)),
        }))
    }
}

#[cfg(feature = "yaml")]
impl From<Placed> for Node {
    fn from(placed: Placed) -> Self {
        placed.0
    }
}

#[cfg(feature = "yaml")]
impl<'de> Deserialize<'de> for PlacedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(AnyValue::<Placed>(PhantomData))
            .map(Self)
    }
}

// === impl Value ===

/// As an error shows it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("empty"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            // With a point, so that it does not look like an integer.
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

// === impl AnyValue ===

impl<'de, P: Deserialize<'de> + Into<Node>> Visitor<'de> for AnyValue<P> {
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
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
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
        // Beyond every range that is accepted, here or there.
        Ok(Value::Integer(value.try_into().unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        // No capacity from the size hint: it is not to be believed.
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<P>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<P, P>()? {
            pairs.push((key.into(), value.into()));
        }
        Ok(Value::Map(pairs))
    }
}

/// Characters of a value that an error shows.
const MAX_SHOWN_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Value::Text(text.to_owned()).into()
    }

    #[test]
    fn reads_whatever_a_format_has() {
        let node: Node =
            serde_json::from_str(r#"[null, true, -1, 18446744073709551615, 0.5, "a", {"b": []}]"#)
                .unwrap();
        let expected = [
            Value::Null,
            Value::Bool(true),
            Value::Integer(-1),
            Value::Integer(u64::MAX.into()),
            Value::Float(0.5),
            Value::Text("a".to_owned()),
            Value::Map(vec![(text("b"), Value::List(vec![]).into())]),
        ];
        let expected = Value::List(expected.map(Node::from).into());
        assert_eq!(node, expected.into());
    }

    #[test]
    #[cfg(feature = "yaml")]
    fn knows_where_everything_stands_in_yaml() {
        let Placed(node) = serde_saphyr::from_str("a:\n  - b\n  - { c: 1 }\n").unwrap();
        let Value::Map(pairs) = node.value else {
            panic!("{node:?}");
        };
        let (key, value) = &pairs[0];
        assert_eq!((key.as_text(), key.position), (Some("a"), Some((1, 1))));
        let Value::List(items) = &value.value else {
            panic!("{value:?}");
        };
        assert_eq!(items[0].position, Some((2, 5)));
        let Value::Map(pairs) = &items[1].value else {
            panic!("{items:?}");
        };
        let (key, value) = &pairs[0];
        assert_eq!(
            (key.position, value.position),
            (Some((3, 7)), Some((3, 10)))
        );
    }

    #[test]
    fn long_texts_are_cut_and_control_characters_escaped() {
        let shown = Value::Text("\u{1b}ä".repeat(1000)).to_string();
        assert!(shown.ends_with("\"…") && shown.len() < 1000, "{shown}");
        assert!(!shown.contains('\u{1b}'));
    }
}
