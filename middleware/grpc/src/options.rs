use std::collections::HashSet;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use towline_http::DEFAULT_VALUE_LIMIT_BYTES;
use towline_propagation::Propagator;
use towline_span::truncate;

use crate::conventions::Conventions;
use crate::method::Method;

/// What both sides let a user choose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) propagator: Propagator,
    pub(crate) conventions: Conventions,
    methods: Option<HashSet<String>>,
    pub(crate) request_metadata: Capture,
    pub(crate) response_metadata: Capture,
}

/// Metadata that is recorded because it was listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture(Vec<(HeaderName, Key)>);

impl Options {
    pub(crate) fn set_methods<M: Into<String>>(&mut self, methods: impl IntoIterator<Item = M>) {
        let strip = |method: String| match method.strip_prefix('/') {
            Some(stripped) => stripped.to_owned(),
            None => method,
        };
        self.methods = Some(methods.into_iter().map(Into::into).map(strip).collect());
    }

    /// Whether a method is one that may be recorded by name.
    pub(crate) fn knows(&self, method: &Method) -> bool {
        method.is_well_formed()
            && self
                .methods
                .as_ref()
                .is_none_or(|methods| methods.contains(method.as_str()))
    }
}

impl Capture {
    pub(crate) fn new(prefix: &str, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(
            names
                .into_iter()
                .map(|name| {
                    let key = Key::from(format!("{prefix}.{}", name.as_str()));
                    (name, key)
                })
                .collect(),
        )
    }

    pub(crate) fn attributes(&self, metadata: &HeaderMap) -> impl Iterator<Item = KeyValue> {
        self.0.iter().filter_map(|(name, key)| {
            let values: Vec<StringValue> = metadata
                .get_all(name)
                .iter()
                .map(|value| captured(name, value.as_bytes()))
                .collect();
            let found = !values.is_empty();
            found.then(|| KeyValue::new(key.clone(), Value::Array(Array::String(values))))
        })
    }
}

/// A value as it may be shown: a credential never is, listed or not.
fn captured(name: &HeaderName, value: &[u8]) -> StringValue {
    if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(name) {
        return StringValue::from("REDACTED");
    }
    let value = String::from_utf8_lossy(value);
    StringValue::from(truncate(&value, DEFAULT_VALUE_LIMIT_BYTES).to_owned())
}
