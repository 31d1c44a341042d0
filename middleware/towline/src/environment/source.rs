use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::fmt;

#[cfg(feature = "clap")]
use towline_propagation::environment::EnvironmentCarrier;

/// Where environment variables are read from: the process, or a map that takes its place in a test or an embedding
/// program.
///
/// # Examples
///
/// ```
/// use towline::{Environment, Towline};
///
/// let environment = Environment::from_iter([("OTEL_SDK_DISABLED", "true")]);
/// let tracing = Towline::builder().with_environment(environment).build()?;
/// assert!(!tracing.is_enabled());
/// # Ok::<(), towline::StartError>(())
/// ```
#[derive(Clone)]
pub struct Environment(Source);

#[derive(Clone)]
enum Source {
    Process,
    Given(BTreeMap<String, String>),
}

// === impl Environment ===

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub const fn process() -> Self {
        Self(Source::Process)
    }

    /// No variable at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Source::Given(BTreeMap::new()))
    }

    /// The value of a variable. An empty one [counts as unset], and so does one that is not text, with a complaint.
    ///
    /// [counts as unset]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#parsing-empty-value
    pub(crate) fn get(&self, name: &str, complaints: &mut Vec<String>) -> Option<String> {
        let value = match &self.0 {
            Source::Given(variables) => variables.get(name).cloned(),
            Source::Process => match env::var(name) {
                Ok(value) => Some(value),
                Err(VarError::NotPresent) => None,
                Err(VarError::NotUnicode(_)) => {
                    complaints.push(format!("{name} is not text: expected UTF-8"));
                    None
                }
            },
        };
        value.filter(|value| !value.is_empty())
    }
}

#[cfg(feature = "clap")]
impl From<&Environment> for EnvironmentCarrier {
    fn from(environment: &Environment) -> Self {
        match &environment.0 {
            Source::Process => Self::from_process(),
            Source::Given(variables) => variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        }
    }
}

/// [`process`](Self::process).
impl Default for Environment {
    fn default() -> Self {
        Self::process()
    }
}

/// These variables and no others.
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(Source::Given(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        ))
    }
}

/// Names without values, some of which are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Process => f.write_str("Environment::process()"),
            Source::Given(variables) => f.debug_set().entries(variables.keys()).finish(),
        }
    }
}
