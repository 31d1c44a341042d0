use http::header::USER_AGENT;
use http::{HeaderMap, Method, Version};
use towline_span::{Recording, Repeated};

use super::layer::Options;
use crate::attributes::{self, AttributeOptions, HostAndPort, method_form};

/// What is recorded when a request begins and is the same for many others.
///
/// It is told as a group, unless a trusted proxy has said whom it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedAttributes<'a> {
    pub(super) method: &'a Method,
    pub(super) route: Option<&'a str>,
    pub(super) scheme: &'a str,
    pub(super) server: Server<'a>,
    pub(super) version: Version,
    pub(super) user_agent: Option<&'a [u8]>,
}

/// Whom a request is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server<'a> {
    /// As a proxy has said it.
    Forwarded(HostAndPort<'a>),
    /// As the head has it, if it does.
    Authority(Option<&'a [u8]>),
}

impl RepeatedAttributes<'_> {
    pub(super) fn tell<R: Recording + ?Sized>(&self, options: &Options, into: &mut R) {
        let (Server::Authority(authority), Some(scheme)) =
            (self.server, scheme_number(self.scheme))
        else {
            return self.tell_all(&options.attributes, into);
        };
        let (method, method_text) = method_form(self.method);
        let [version, tenths] = version_form(self.version);
        let form = Repeated::form_of([
            u8::from(self.route.is_some()),
            u8::from(authority.is_some()),
            u8::from(self.user_agent.is_some()),
            method,
            scheme,
            version,
            tenths,
        ]);
        let parts = [
            self.route.unwrap_or_default().as_bytes(),
            authority.unwrap_or_default(),
            self.user_agent.unwrap_or_default(),
            method_text.as_bytes(),
        ];
        into.repeated(Repeated::new(options.teller, form, &parts), &mut |into| {
            self.tell_all(&options.attributes, into);
        });
    }

    fn tell_all<R: Recording + ?Sized>(&self, options: &AttributeOptions, into: &mut R) {
        into.name(match self.route {
            Some(route) => options.routed_name(self.method, route),
            None => options.method_name(self.method),
        });
        options.tell_method(self.method, into);
        match self.scheme {
            "http" => into.fixed_text(attributes::URL_SCHEME, "http"),
            "https" => into.fixed_text(attributes::URL_SCHEME, "https"),
            other => into.frequent_text(attributes::URL_SCHEME, options.cut(other)),
        }
        if let Some(route) = self.route {
            into.frequent_text(attributes::HTTP_ROUTE, options.cut(route));
        }
        let server = match self.server {
            Server::Forwarded(server) => Some(server),
            Server::Authority(authority) => authority.and_then(HostAndPort::read),
        };
        if let Some(server) = server {
            options.tell_server(server.host, server.port, into);
        }
        if let Some(version) = attributes::protocol_version(self.version) {
            into.fixed_text(attributes::NETWORK_PROTOCOL_VERSION, version);
        }
        if let Some(user_agent) = self.user_agent {
            options.tell_user_agent(user_agent, into);
        }
    }
}

/// The schemes that are usual; of another no group is told.
fn scheme_number(scheme: &str) -> Option<u8> {
    match scheme {
        "http" => Some(0),
        "https" => Some(1),
        _ => None,
    }
}

/// As it is recorded: its first figure and its last.
fn version_form(version: Version) -> [u8; 2] {
    let text = attributes::protocol_version(version).unwrap_or_default();
    let (first, last) = (text.as_bytes().first(), text.as_bytes().last());
    [first, last].map(|figure| figure.copied().unwrap_or_default())
}

/// The value of the header that says what program the caller is.
pub(super) fn user_agent_of(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(USER_AGENT).map(http::HeaderValue::as_bytes)
}
