use std::borrow::Cow;

use http::Method;
use opentelemetry::StringValue;
use towline_span::redact::QueryKeys;
use towline_span::{Recording, SpanName, truncate};

use super::method::{Methods, static_name};
use super::{
    HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL, SERVER_ADDRESS, SERVER_PORT,
    USER_AGENT_ORIGINAL, shared,
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

    /// The name of a span about which only the method is known.
    pub(crate) fn method_name<'a>(&self, method: &'a Method) -> SpanName<'a> {
        if !self.methods.is_known(method) {
            return SpanName::Fixed("HTTP");
        }
        match static_name(method) {
            Some(name) => SpanName::Fixed(name),
            None => SpanName::Text(method.as_str()),
        }
    }

    /// The name of a span whose route or template is known.
    pub(crate) fn routed_name<'a>(&self, method: &'a Method, route: &'a str) -> SpanName<'a> {
        let method = match self.method_name(method) {
            SpanName::Fixed(name) | SpanName::Text(name) => name,
            _ => "HTTP",
        };
        SpanName::Pair(method, self.cut(route))
    }

    /// The method, as it is recorded.
    pub(crate) fn tell_method<R: Recording + ?Sized>(&self, method: &Method, into: &mut R) {
        match (self.methods.is_known(method), static_name(method)) {
            (true, Some(name)) => into.fixed_text(HTTP_REQUEST_METHOD, name),
            (true, None) => into.frequent_text(HTTP_REQUEST_METHOD, method.as_str()),
            (false, _) => {
                into.fixed_text(HTTP_REQUEST_METHOD, "_OTHER");
                into.text(HTTP_REQUEST_METHOD_ORIGINAL, self.cut(method.as_str()));
            }
        }
    }

    /// The host and the port of the server that was asked for.
    pub(crate) fn tell_server<R: Recording + ?Sized>(
        &self,
        host: &str,
        port: Option<u16>,
        into: &mut R,
    ) {
        into.frequent_text(SERVER_ADDRESS, self.cut(host));
        if let Some(port) = port {
            into.number(SERVER_PORT, i64::from(port));
        }
    }

    /// `user_agent.original`.
    pub(crate) fn tell_user_agent<R: Recording + ?Sized>(&self, value: &[u8], into: &mut R) {
        let value = String::from_utf8_lossy(value);
        into.frequent_text(USER_AGENT_ORIGINAL, self.cut(&value));
    }

    /// A value, cut at the limit.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> &'a str {
        truncate(text, self.redaction.value_limit_bytes)
    }

    /// A value that comes again and again, cut at the limit.
    pub(crate) fn shared(&self, text: &str) -> StringValue {
        shared(self.cut(text))
    }
}
