//! A context as names and values: for maps, rows, messages and whatever else takes pairs of strings.

use std::{fmt, vec};

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator},
};

/// What a message says of its sender, as pairs of strings: the map that Teleport and others send along with a payload.
///
/// It is made [from a context](Self::capture) or from pairs, and becomes a [context](Self::restore) or pairs again, so
/// that it goes into any `HashMap`, `BTreeMap` or `Vec` and comes out of one. It is a carrier itself, too. Names are
/// kept in lower case. `Debug` shows names without values, which belong to the sender.
///
/// ```
/// use std::collections::{BTreeMap, HashMap};
///
/// use opentelemetry::Context;
/// use towline_propagation::{PropagationContext, Propagator};
///
/// let propagator = Propagator::w3c();
/// let received = HashMap::from([
///     ("Traceparent".to_owned(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
/// ]);
/// let cx = PropagationContext::from_iter(received).restore(&propagator, &Context::new());
///
/// let sent = PropagationContext::capture(&propagator, &cx);
/// let map: BTreeMap<String, String> = sent.clone().into_iter().collect();
/// assert_eq!(map["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
///
/// let mut headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
/// headers.extend(sent);
/// assert_eq!(headers.len(), 2);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PropagationContext(Vec<(String, String)>);

// === impl PropagationContext ===

impl PropagationContext {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What `cx` carries, as `propagator` writes it.
    #[must_use]
    pub fn capture(propagator: &dyn TextMapPropagator, cx: &Context) -> Self {
        let mut fields = Self::new();
        propagator.inject_context(cx, &mut fields);
        fields
    }

    /// `base` with what `propagator` reads. What is malformed is as good as absent; names that differ by case only are
    /// one name, said twice.
    #[must_use]
    pub fn restore(&self, propagator: &dyn TextMapPropagator, base: &Context) -> Context {
        propagator.extract_with_context(base, self)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.iter();
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for PropagationContext {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let mut context = Self::new();
        context.extend(fields);
        context
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for PropagationContext {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, fields: I) {
        self.0.extend(fields.into_iter().map(|(name, value)| {
            let mut name = name.into();
            name.make_ascii_lowercase();
            (name, value.into())
        }));
    }
}

impl IntoIterator for PropagationContext {
    type Item = (String, String);
    type IntoIter = vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extractor for PropagationContext {
    fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find_map(|(name, value)| name.eq_ignore_ascii_case(key).then_some(value))
    }

    fn keys(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<&str> = self
            .iter()
            .filter_map(|(name, value)| name.eq_ignore_ascii_case(key).then_some(value))
            .collect();
        (!values.is_empty()).then_some(values)
    }
}

/// A field that was there before is replaced.
impl Injector for PropagationContext {
    fn set(&mut self, key: &str, value: String) {
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        self.0.push((key.to_ascii_lowercase(), value));
    }
}

impl fmt::Debug for PropagationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}
