use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use towline_span::{Describe, Failure, OpenSpan, Outcome, redact};

use super::layer::Options;
use super::resend::ResendCount;
use crate::answer::Answer;
use crate::attributes::{
    self, AttributeOptions, HostAndPort, failure_of, shared_ip, status_failure,
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
    failure: Option<Failure>,
}

// === impl Description ===

impl<'a> Description<'a> {
    pub(crate) fn new<B>(options: &'a Options, request: &'a Request<B>) -> Self {
        Self {
            options,
            request: RequestHead::from(request),
        }
    }
}

impl Describe for Description<'_> {
    fn describe(&self) -> SpanBuilder {
        let options = &self.options.attributes;
        let request = self.request;
        let mut attributes = options.attributes(request.method);
        attributes.push(KeyValue::new(
            attributes::URL_FULL,
            full_url(request.uri, options),
        ));
        if let Some(server) = HostAndPort::of_request(request.uri, request.headers) {
            attributes.push(KeyValue::new(
                attributes::SERVER_ADDRESS,
                options.shared(server.host),
            ));
            if let Some(port) = server.port.or_else(|| default_port(request.uri.scheme()?)) {
                attributes.push(KeyValue::new(attributes::SERVER_PORT, i64::from(port)));
            }
        }
        let template = self
            .options
            .template
            .as_ref()
            .and_then(|template| template(request));
        let name = match template {
            Some(template) => {
                attributes.push(KeyValue::new(
                    attributes::URL_TEMPLATE,
                    options.shared(&template),
                ));
                options.routed_name(request.method, &template)
            }
            None => options.method_name(request.method),
        };
        attributes.extend(ResendCount::attribute(request.extensions));
        let extras = &self.options.extras;
        extras
            .request
            .extend(&mut attributes, request.headers, &options.redaction);
        let mut builder = SpanBuilder::from_name(name).with_kind(SpanKind::Client);
        builder.attributes = Some(attributes);
        builder
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        let name = self.options.attributes.method_name(self.request.method);
        Some(SpanBuilder::from_name(name).with_kind(SpanKind::Client))
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
            self.running = options.extras.begin(span, request, redaction);
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
            self.failure = classified(options.classify.as_ref(), head, failure);
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
            self.failure = Some(failure_of(error, keys));
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        let Some(options) = self.options.take() else {
            return;
        };
        let (status, version) = self.head.unzip();
        let failure = self.failure.take().filter(|_| outcome != Outcome::Panicked);
        let peer = self.peer.map(|peer| {
            [
                KeyValue::new(attributes::NETWORK_PEER_ADDRESS, shared_ip(peer.ip())),
                KeyValue::new(attributes::NETWORK_PEER_PORT, i64::from(peer.port())),
            ]
        });
        let captured = self.running.take().map(|running| {
            let redaction = &options.attributes.redaction;
            running.end(&options.extras, outcome, failure.as_ref(), redaction)
        });
        let known = status
            .map(attributes::status_code)
            .into_iter()
            .chain(version.and_then(attributes::protocol_version))
            .chain(peer.into_iter().flatten())
            .chain(captured.into_iter().flatten());
        span.end(outcome, failure, known);
    }
}

/// The target without what is secret in it: user information, and the values of some query keys.
fn full_url(uri: &Uri, options: &AttributeOptions) -> opentelemetry::StringValue {
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
    let mut url = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    url.extend(parts);
    if url.len() > options.redaction.value_limit_bytes {
        return options.owned(&url);
    }
    url.into()
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
