//! Environment variables, which tell a process of the span that has started it.
//!
//! By the [specification] of such carriers: `TRACEPARENT`, `TRACESTATE` and `BAGGAGE` for W3C's formats, and for every
//! other what [`variable_name`] makes of the names of its fields. Values are not looked at here; what is legal is up to
//! the propagator, whose [limits](crate::tracestate::MAX_BYTES) are far below those of any platform (32,767 characters
//! on Windows). What it leaves out of a list that is too long are whole members.
//!
//! Jaeger's [baggage](crate::jaeger) is written, but not read: which field a name was made of cannot be told.
//!
//! ```
//! use std::process::Command;
//!
//! use opentelemetry::{Context, propagation::TextMapPropagator};
//! use towline_propagation::{Propagator, environment::EnvironmentCarrier};
//!
//! let propagator = Propagator::w3c();
//! // What this process was started in: `EnvironmentCarrier::from_process()`.
//! let received = EnvironmentCarrier::from_iter([
//!     ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
//!     ("BAGGAGE", "tenant=acme"),
//! ]);
//! let cx = propagator.extract_with_context(&Context::new(), &received);
//!
//! // What a process is told that it starts.
//! let mut sent = EnvironmentCarrier::new();
//! propagator.inject_context(&cx, &mut sent);
//! assert_eq!(sent, received);
//! let mut child = Command::new("other-tool");
//! child.envs(&sent);
//! ```
//!
//! [specification]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/context/env-carriers.md

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map},
    env, fmt,
    process::Command,
};

use opentelemetry::propagation::{Extractor, Injector};

/// The variable for a field: upper case, with `_` for all but letters, digits and `_`, and `_` before a digit at the
/// beginning.
///
/// ```
/// use towline_propagation::environment::variable_name;
///
/// assert_eq!(variable_name("traceparent"), "TRACEPARENT");
/// assert_eq!(variable_name("x-b3-traceid"), "X_B3_TRACEID");
/// ```
#[must_use]
pub fn variable_name(field: &str) -> Cow<'_, str> {
    if is_variable_name(field) {
        return Cow::Borrowed(field);
    }
    let starts_badly = field.is_empty() || field.starts_with(|first: char| first.is_ascii_digit());
    let prefix = starts_badly.then_some('_');
    let rest = field.chars().map(|char| match char.to_ascii_uppercase() {
        char @ ('A'..='Z' | '0'..='9') => char,
        _ => '_',
    });
    Cow::Owned(prefix.into_iter().chain(rest).collect())
}

/// Environment variables by their names: to read those of a process, and to collect those of another.
///
/// Only [normalized](variable_name) names are kept. `Debug` shows names without values, some of which are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnvironmentCarrier(BTreeMap<String, String>);

/// Sets the variables of a process that is about to be started.
///
/// Values that no header could hold are left out, since a NUL among them would keep the process from starting.
///
/// ```
/// use std::process::Command;
///
/// use opentelemetry::propagation::{Injector, TextMapPropagator};
/// use towline_propagation::{Propagator, environment::CommandInjector, query};
///
/// let query = "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let cx = query::extract(query, &Default::default()).into_context();
/// let mut child = Command::new("other-tool");
/// Propagator::w3c().inject_context(&cx, &mut CommandInjector::new(&mut child));
/// assert!(child.get_envs().any(|(name, _)| name == "TRACEPARENT"));
/// ```
#[derive(Debug)]
pub struct CommandInjector<'a>(&'a mut Command);

// === impl EnvironmentCarrier ===

impl EnvironmentCarrier {
    /// No variable at all.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The variables of this process as they are now, without those that are no text.
    #[must_use]
    pub fn from_process() -> Self {
        let variables = env::vars_os();
        variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Whether there is no variable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variables, ordered by name.
    pub fn iter(&self) -> btree_map::Iter<'_, String, String> {
        self.0.iter()
    }
}

/// Those of them whose names are normalized, as the specification says; of two by the same name the later one.
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for EnvironmentCarrier {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Self(
            variables
                .filter(|(name, _)| is_variable_name(name))
                .collect(),
        )
    }
}

impl<'a> IntoIterator for &'a EnvironmentCarrier {
    type Item = (&'a String, &'a String);
    type IntoIter = btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for EnvironmentCarrier {
    type Item = (String, String);
    type IntoIter = btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extractor for EnvironmentCarrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&*variable_name(key)).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Values that no header could hold are left out.
impl Injector for EnvironmentCarrier {
    fn set(&mut self, key: &str, value: String) {
        if is_legal(&value) {
            self.0.insert(variable_name(key).into_owned(), value);
        }
    }
}

impl fmt::Debug for EnvironmentCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

// === impl CommandInjector ===

impl<'a> CommandInjector<'a> {
    /// Sets them on `command`. For a `tokio::process::Command` give its `as_std_mut()`.
    pub const fn new(command: &'a mut Command) -> Self {
        Self(command)
    }
}

impl Injector for CommandInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if is_legal(&value) {
            self.0.env(&*variable_name(key), value);
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| matches!(first, 'A'..='Z' | '_'))
        && name
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

/// Only what may stand in a header may stand in a variable.
fn is_legal(value: &str) -> bool {
    !value.chars().any(|char| char.is_control() && char != '\t')
}
