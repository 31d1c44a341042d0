use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use towline_span::{Describe, Described, Failure, OpenSpan, Outcome, Recording, Repeated, redact};

use super::layer::Options;
use super::resend::ResendCount;
use crate::answer::Answer;
use crate::attributes::{
    self, AttributeOptions, CAPACITY, HostAndPort, authority_of, failure_of, method_form,
    shared_ip, status_failure,
};
use crate::exchange::{Record, Rest};
use crate::extras::{Running, classified};
use crate::head::{RequestHead, ResponseHead};

/// What is known of a request when it is sent.
pub(crate) struct Description<'a> {
    options: &'a Options,
    request: RequestHead<'a>,
}

/// Records one exchange as the HTTP semantic conventions want it from a client.
#[derive(Debug)]
pub struct Recorder {
    answer: Answer,
    /// For a span that is recorded only.
    options: Option<Arc<Options>>,
    running: Option<Box<Running>>,
    peer: Option<SocketAddr>,
    head: Option<(StatusCode, Version)>,
    /// Boxed, as what is rare: it is moved with every request.
    failure: Option<Box<Failure>>,
}

// === impl Description ===

impl<'a> Description<'a> {
    pub(crate) fn new<B>(options: &'a Options, request: &'a Request<B>) -> Self {
        Self {
            options,
            request: RequestHead::from(request),
        }
    }

    /// Tells what is known so far.
    fn tell<R: Recording + ?Sized>(&self, into: &mut R) {
        let options = &self.options.attributes;
        let request = self.request;
        into.kind(SpanKind::Client);
        tell_full_url(request.uri, options, into);
        let template = self
            .options
            .template
            .as_ref()
            .and_then(|template| template(request));
        let authority = authority_of(request.uri, request.headers);
        let (method, method_text) = method_form(request.method);
        let form = Repeated::form_of([
            u8::from(template.is_some()),
            u8::from(authority.is_some()),
            method,
        ]);
        let parts = [
            template.as_deref().unwrap_or_default().as_bytes(),
            authority.unwrap_or_default(),
            request.uri.scheme_str().unwrap_or_default().as_bytes(),
            method_text.as_bytes(),
        ];
        // What is sent to one place by one template is all the same but for the URL.
        into.repeated(
            Repeated::new(self.options.teller, form, &parts),
            &mut |into| self.tell_repeated(template.as_deref(), into),
        );
        if let Some(resent) = ResendCount::attribute(request.extensions) {
            into.attribute(resent);
        }
        let captured = &self.options.extras.request;
        captured.tell(request.headers, &options.redaction, into);
    }

    fn tell_repeated<R: Recording + ?Sized>(&self, template: Option<&str>, into: &mut R) {
        let options = &self.options.attributes;
        let request = self.request;
        into.name(match template {
            Some(template) => options.routed_name(request.method, template),
            None => options.method_name(request.method),
        });
        options.tell_method(request.method, into);
        if let Some(server) = HostAndPort::of_request(request.uri, request.headers) {
            let port = server.port.or_else(|| default_port(request.uri.scheme()?));
            options.tell_server(server.host, port, into);
        }
        if let Some(template) = template {
            into.frequent_text(attributes::URL_TEMPLATE, options.cut(template));
        }
    }
}

impl Describe for Description<'_> {
    fn describe(&self) -> SpanBuilder {
        let mut told = Described::with_capacity(CAPACITY);
        self.tell(&mut told);
        told.into_builder()
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        let name = self.options.attributes.method_name(self.request.method);
        Some(SpanBuilder::from_name(name.to_cow()).with_kind(SpanKind::Client))
    }

    fn record(&self, into: &mut dyn Recording) {
        self.tell(into);
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(method: &Method, options: Option<Arc<Options>>) -> Self {
        Self {
            answer: Answer::to(method),
            options,
            running: None,
            peer: None,
            head: None,
            failure: None,
        }
    }

    /// The span has begun.
    pub(crate) fn begin(&mut self, span: &OpenSpan, request: RequestHead<'_>) {
        if let Some(options) = &self.options {
            let redaction = &options.attributes.redaction;
            self.running = options.extras.begin(span, request, redaction).map(Box::new);
        }
    }
}

impl Record for Recorder {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        self.head = Some((head.status, head.version));
        if let Some(options) = &self.options {
            self.peer = (options.peer)(head);
            let failed = head.status.is_client_error() || head.status.is_server_error();
            let failure = failed.then(|| status_failure(head.status));
            self.failure = classified(options.classify.as_ref(), head, failure).map(Box::new);
            if let Some(running) = &mut self.running {
                running.head(&options.extras, head, &options.attributes.redaction);
            }
        }
        self.answer.rest(head.status)
    }

    fn trailers(&mut self, _trailers: &HeaderMap) {}

    fn error<E: 'static>(&mut self, error: &E) {
        if let Some(options) = &self.options {
            let keys = &options.attributes.redaction.query_keys;
            self.failure = Some(Box::new(failure_of(error, keys)));
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        let Some(options) = self.options.take() else {
            return;
        };
        let (status, version) = self.head.unzip();
        let failure = self.failure.take().filter(|_| outcome != Outcome::Panicked);
        let failure = failure.map(|failure| *failure);
        if let Some(status) = status {
            span.set_attribute(attributes::status_code(status));
        }
        if let Some(version) = version.and_then(attributes::protocol_version) {
            let key = attributes::NETWORK_PROTOCOL_VERSION;
            span.set_attribute(KeyValue::new(key, version));
        }
        if let Some(peer) = self.peer {
            let (address, port) = (shared_ip(peer.ip()), i64::from(peer.port()));
            span.set_attribute(KeyValue::new(attributes::NETWORK_PEER_ADDRESS, address));
            span.set_attribute(KeyValue::new(attributes::NETWORK_PEER_PORT, port));
        }
        if let Some(running) = self.running.take() {
            let redaction = &options.attributes.redaction;
            for attribute in running.end(&options.extras, outcome, failure.as_ref(), redaction) {
                span.set_attribute(attribute);
            }
        }
        span.end(outcome, failure, []);
    }
}

/// `url.full`, without the user information and what is secret in the rest.
fn tell_full_url<R: Recording + ?Sized>(uri: &Uri, options: &AttributeOptions, into: &mut R) {
    let keys = &options.redaction.query_keys;
    let path = redact::text(uri.path(), keys);
    let query = uri.query().map(|query| redact::query(query, keys));
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((_, host)) => ("REDACTED:REDACTED@", host),
        None => ("", authority),
    };
    let (scheme, separator) = match uri.scheme_str() {
        Some(scheme) => (scheme, "://"),
        None => ("", ""),
    };
    let (mark, query) = match &query {
        Some(query) => ("?", &**query),
        None => ("", ""),
    };
    let parts = [scheme, separator, userinfo, host, &path, mark, query];
    let len: usize = parts.iter().map(|part| part.len()).sum();
    if len > options.redaction.value_limit_bytes {
        into.text(attributes::URL_FULL, options.cut(&parts.concat()));
    } else {
        into.text_of_parts(attributes::URL_FULL, &parts);
    }
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
