use std::fmt;

use opentelemetry::{Array, KeyValue, StringValue, Value as Attribute};

use super::Entry;
use crate::StartErrorKind;
use crate::config::node::{Node, Value};
use crate::config::problem::{Problem, Problems};
use crate::config::said::Said;

/// Attributes of the resource.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Attributes(pub(crate) Vec<KeyValue>);

/// A mapping of names to texts, numbers, booleans or lists of texts.
pub(crate) fn attributes(entry: Entry, problems: &mut Problems) -> Option<Said<Attributes>> {
    let Value::Map(pairs) = entry.node.value else {
        let expected =
            "a mapping of names to values, such as { deployment.environment.name: test }";
        entry.is_wrong(problems, expected);
        return None;
    };
    let (mut attributes, mut is_whole) = (Vec::<KeyValue>::new(), true);
    for (key, node) in pairs {
        let (part, position, rest) = match (key.as_text(), attribute(&node)) {
            (None | Some(""), _) => (
                String::new(),
                key.position,
                format!(" has the name {}: expected a text", key.value),
            ),
            (Some(SERVICE_NAME), _) => (
                format!(".{SERVICE_NAME}"),
                key.position,
                " has a key of its own: expected it in `service_name`".to_owned(),
            ),
            (Some(name), _) if attributes.iter().any(|known| known.key.as_str() == name) => (
                format!(".{name}"),
                key.position,
                " is given twice: expected it once".to_owned(),
            ),
            (Some(name), Some(value)) => {
                attributes.push(KeyValue::new(name.to_owned(), value));
                continue;
            }
            (Some(name), None) => (
                format!(".{name}"),
                node.position,
                format!(
                    " is {}: expected a text, a number, true, false or a list of texts",
                    node.value
                ),
            ),
        };
        let origin = entry.origin.part(&part, position);
        problems.push(Problem::of(StartErrorKind::Config, &origin, rest));
        is_whole = false;
    }
    is_whole.then(|| Said::new(Attributes(attributes), entry.origin))
}

fn attribute(node: &Node) -> Option<Attribute> {
    Some(match &node.value {
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => i64::try_from(*value).ok()?.into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => {
            let texts = items.iter().map(|item| {
                let text = item.as_text()?;
                Some(StringValue::from(text.to_owned()))
            });
            Attribute::Array(Array::String(texts.collect::<Option<_>>()?))
        }
        Value::Null | Value::Map(_) => return None,
    })
}

// === impl Attributes ===

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self
            .0
            .iter()
            .map(|pair| (pair.key.as_str(), pair.value.as_str()));
        f.debug_map().entries(pairs).finish()
    }
}

const SERVICE_NAME: &str = "service.name";
