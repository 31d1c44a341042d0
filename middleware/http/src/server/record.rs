use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt};
use towline_span::{Describe, Failure, OpenSpan, Outcome, redact};

use super::layer::Options;
use super::route::DeferredRoute;
use crate::answer::Answer;
use crate::attributes::{self, HostAndPort, failure_of, shared_ip, status_failure};
use crate::exchange::{Record, Rest};
use crate::extras::{Running, classified};
use crate::head::{RequestHead, ResponseHead};

/// What is known of a request when it arrives.
pub(crate) struct Description<'a> {
    options: &'a Options,
    request: RequestHead<'a>,
    routed: Cell<bool>,
}

/// Records one exchange as the HTTP semantic conventions want it from a server.
#[derive(Debug)]
pub struct Recorder {
    answer: Answer,
    /// For a span that is recorded, or whose trace is told to the caller.
    options: Option<Arc<Options>>,
    running: Option<Box<Running>>,
    status: Option<StatusCode>,
    failure: Option<Failure>,
    /// A route that a router inside may yet name, and the method for the name of the span then.
    deferred: Option<(DeferredRoute, Method)>,
}

// === impl Description ===

impl<'a> Description<'a> {
    pub(crate) fn new<B>(options: &'a Options, request: &'a Request<B>) -> Self {
        Self {
            options,
            request: RequestHead::from(request),
            routed: Cell::new(false),
        }
    }

    /// Whether the span was described, and with its route.
    pub(crate) fn is_routed(&self) -> bool {
        self.routed.get()
    }

    fn route(&self) -> Option<Cow<'a, str>> {
        self.options.route.as_ref()?(self.request)
    }
}

impl Describe for Description<'_> {
    fn describe(&self) -> SpanBuilder {
        let Options {
            attributes: options,
            ..
        } = self.options;
        let mut request = self.request;
        if let Some(target) = self.options.target.and_then(|target| target(&request)) {
            request.uri = target;
        }
        let mut attributes = options.attributes(request.method);

        let redaction = &options.redaction;
        let peer = (self.options.peer)(request);
        let proxies = self.options.proxies.as_ref();
        let forwarded = proxies.map(|proxies| proxies.read(peer, request.headers));
        let forwarded = forwarded.unwrap_or_default();

        let scheme = self.options.scheme.as_ref().or(request.uri.scheme());
        let scheme = scheme.map(http::uri::Scheme::as_str);
        attributes.push(KeyValue::new(
            attributes::URL_SCHEME,
            match forwarded.scheme.or(scheme) {
                None | Some("http") => "http".into(),
                Some("https") => "https".into(),
                Some(other) => options.shared(other),
            },
        ));
        attributes.push(KeyValue::new(
            attributes::URL_PATH,
            options.owned(&redact::text(request.uri.path(), &redaction.query_keys)),
        ));
        if let Some(query) = request.uri.query() {
            let query = redact::query(query, &redaction.query_keys);
            attributes.push(KeyValue::new(attributes::URL_QUERY, options.owned(&query)));
        }
        let route = self.route();
        self.routed.set(route.is_some());
        let name = match &route {
            Some(route) => {
                attributes.push(KeyValue::new(attributes::HTTP_ROUTE, options.shared(route)));
                options.routed_name(request.method, route)
            }
            None => options.method_name(request.method),
        };
        let server = forwarded
            .server
            .or_else(|| HostAndPort::of_request(request.uri, request.headers));
        if let Some(server) = server {
            attributes.push(KeyValue::new(
                attributes::SERVER_ADDRESS,
                options.shared(server.host),
            ));
            if let Some(port) = server.port {
                attributes.push(KeyValue::new(attributes::SERVER_PORT, i64::from(port)));
            }
        }
        if let Some(peer) = peer {
            let address = shared_ip(peer.ip());
            let client = forwarded.client.map_or_else(|| address.clone(), shared_ip);
            attributes.extend([
                KeyValue::new(attributes::CLIENT_ADDRESS, client),
                KeyValue::new(attributes::NETWORK_PEER_ADDRESS, address),
                KeyValue::new(attributes::NETWORK_PEER_PORT, i64::from(peer.port())),
            ]);
        }
        attributes.extend(attributes::protocol_version(request.version));
        attributes.extend(options.user_agent(request.headers));
        let extras = &self.options.extras;
        extras
            .request
            .extend(&mut attributes, request.headers, redaction);

        let mut builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
        builder.attributes = Some(attributes);
        builder
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        let name = self.options.attributes.method_name(self.request.method);
        Some(SpanBuilder::from_name(name).with_kind(SpanKind::Server))
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(method: &Method, options: Option<Arc<Options>>) -> Self {
        Self {
            answer: Answer::to(method),
            options,
            running: None,
            status: None,
            failure: None,
            deferred: None,
        }
    }

    /// The span has begun.
    pub(crate) fn begin(&mut self, span: &OpenSpan, request: RequestHead<'_>) {
        if let Some(options) = &self.options {
            let redaction = &options.attributes.redaction;
            self.running = options.extras.begin(span, request, redaction);
        }
    }

    /// Renames the span when it ends, if a router has named the route by then.
    pub(crate) fn defer_route(&mut self, route: DeferredRoute, method: &Method) {
        self.deferred = Some((route, method.clone()));
    }
}

impl Record for Recorder {
    fn annotate(&mut self, span: &OpenSpan, headers: &mut HeaderMap) {
        if let Some(options) = &self.options
            && !options.trace_id.is_empty()
        {
            let span = span.context().span();
            options.trace_id.write(span.span_context(), headers);
        }
    }

    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        self.status = Some(head.status);
        let failed = head.status.is_server_error();
        self.failure = failed.then(|| status_failure(head.status));
        if let Some(options) = &self.options {
            let failure = self.failure.take();
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
        let attributes = &options.attributes;
        let running = self.running.take();
        let renamed = running.as_ref().is_some_and(|running| running.is_renamed());
        let mut route = None;
        if let Some((deferred, method)) = &self.deferred
            && let Some(found) = deferred.get()
        {
            if !renamed {
                let name = attributes.routed_name(method, &found);
                span.context().span().update_name(name);
            }
            let found = attributes.shared(&found);
            route = Some(KeyValue::new(attributes::HTTP_ROUTE, found));
        }
        let failure = self.failure.take().filter(|_| outcome != Outcome::Panicked);
        let captured = running.map(|running| {
            running.end(
                &options.extras,
                outcome,
                failure.as_ref(),
                &attributes.redaction,
            )
        });
        let status = self.status.map(attributes::status_code);
        let known = status.into_iter().chain(route);
        span.end(
            outcome,
            failure,
            known.chain(captured.into_iter().flatten()),
        );
    }
}
