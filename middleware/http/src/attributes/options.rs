use std::borrow::Cow;

use http::{HeaderMap, Method};
use opentelemetry::{KeyValue, StringValue};
use towline_span::redact::QueryKeys;
use towline_span::truncate;

use super::method::{Methods, static_name};
use super::{
    CAPACITY, HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL, USER_AGENT_ORIGINAL, shared,
};
use crate::extras::Redaction;

/// What both sides let a user choose about their attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeOptions {
    methods: Methods,
    pub(crate) redaction: Redaction,
}

impl AttributeOptions {
    pub(crate) fn set_known_methods(&mut self, methods: impl IntoIterator<Item = Method>) {
        self.methods = Methods::Only(methods.into_iter().collect());
    }

    pub(crate) fn set_redacted_query_keys<K>(&mut self, keys: impl IntoIterator<Item = K>)
    where
        K: Into<Cow<'static, str>>,
    {
        self.redaction.query_keys = QueryKeys::only(keys);
    }

    /// The name of a span about which only the method is known; allocates for a user's own method
    /// only.
    pub(crate) fn method_name(&self, method: &Method) -> Cow<'static, str> {
        if !self.methods.is_known(method) {
            return Cow::Borrowed("HTTP");
        }
        match static_name(method) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(method.as_str().to_owned()),
        }
    }

    /// The name of a span whose route or template is known.
    pub(crate) fn routed_name(&self, method: &Method, route: &str) -> Cow<'static, str> {
        let method = self.method_name(method);
        let route = truncate(route, self.redaction.value_limit_bytes);
        let mut name = String::with_capacity(method.len() + 1 + route.len());
        name.push_str(&method);
        name.push(' ');
        name.push_str(route);
        Cow::Owned(name)
    }

    /// The attributes, so far: the method.
    pub(crate) fn attributes(&self, method: &Method) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(CAPACITY);
        match self.methods.name(method) {
            Some(name) => attributes.push(KeyValue::new(HTTP_REQUEST_METHOD, name)),
            None => attributes.extend([
                KeyValue::new(HTTP_REQUEST_METHOD, "_OTHER"),
                KeyValue::new(HTTP_REQUEST_METHOD_ORIGINAL, self.owned(method.as_str())),
            ]),
        }
        attributes
    }

    pub(crate) fn user_agent(&self, headers: &HeaderMap) -> Option<KeyValue> {
        let value = headers.get(http::header::USER_AGENT)?;
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = shared(truncate(&value, self.redaction.value_limit_bytes));
        Some(KeyValue::new(USER_AGENT_ORIGINAL, value))
    }

    /// A value that is different in every request, cut at the limit.
    pub(crate) fn owned(&self, text: &str) -> StringValue {
        StringValue::from(truncate(text, self.redaction.value_limit_bytes).to_owned())
    }

    /// A value that comes again and again, cut at the limit.
    pub(crate) fn shared(&self, text: &str) -> StringValue {
        shared(truncate(text, self.redaction.value_limit_bytes))
    }
}
