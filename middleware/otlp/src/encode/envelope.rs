use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use super::attribute::{attributes_len, put_attribute, put_str, str_len};
use crate::wire::{NESTING_BYTES, put_len};

/// What a `ResourceSpans` or a `ScopeSpans` holds besides its content.
///
/// The two have the same shape: `resource` or `scope` is field 1, the content field 2, `schema_url`
/// field 3.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Envelope {
    pub(crate) fn of_resource(resource: &Resource) -> Self {
        let mut message = Vec::new();
        for (key, value) in resource {
            put_attribute(&mut message, 1, key.as_str(), value);
        }
        Self::new(&message, resource.schema_url())
    }

    pub(crate) fn of_scope(scope: &InstrumentationScope) -> Self {
        let mut message = Vec::new();
        for (field, text) in [(1, scope.name()), (2, scope.version().unwrap_or_default())] {
            if !text.is_empty() {
                put_str(&mut message, field, text);
            }
        }
        for attribute in scope.attributes() {
            put_attribute(&mut message, 3, attribute.key.as_str(), &attribute.value);
        }
        Self::new(&message, scope.schema_url())
    }

    fn new(message: &[u8], schema_url: Option<&str>) -> Self {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        put_len(&mut before, 1, message.len());
        before.extend_from_slice(message);
        if let Some(schema_url) = schema_url.filter(|url| !url.is_empty()) {
            put_str(&mut after, 3, schema_url);
        }
        Self { before, after }
    }

    /// Its own bytes, without the content.
    pub(crate) const fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Appends itself around the content.
    pub(crate) fn put_around(&self, out: &mut Vec<u8>, put_content: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.before);
        put_content(out);
        out.extend_from_slice(&self.after);
    }
}

/// The length of a scope's [`Envelope`], measured without making it: exactly, but for the length of
/// a length.
pub(crate) fn scope_len(scope: &InstrumentationScope) -> usize {
    let texts = [
        scope.name(),
        scope.version().unwrap_or_default(),
        scope.schema_url().unwrap_or_default(),
    ];
    texts.into_iter().map(str_len).sum::<usize>()
        + attributes_len(scope.attributes())
        + NESTING_BYTES
}
