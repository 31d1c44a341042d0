use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt};
use towline_span::{Describe, Described, Failure, OpenSpan, Outcome, Recording, redact};

use super::layer::Options;
use super::repeated::{RepeatedAttributes, Server, user_agent_of};
use super::route::DeferredRoute;
use crate::answer::Answer;
use crate::attributes::{self, CAPACITY, authority_of, failure_of, status_failure};
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
    status: Option<StatusCode>,
    /// Boxed, since all of this is moved with every request.
    rare: Option<Box<Rare>>,
}

/// What few exchanges have.
#[derive(Debug, Default)]
struct Rare {
    running: Option<Running>,
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

    /// Tells what is known so far.
    fn tell<R: Recording + ?Sized>(&self, into: &mut R) {
        let options = &self.options.attributes;
        let mut request = self.request;
        if let Some(target) = self.options.target.and_then(|target| target(&request)) {
            request.uri = target;
        }
        into.kind(SpanKind::Server);
        let redaction = &options.redaction;
        let path = redact::text(request.uri.path(), &redaction.query_keys);
        into.text(attributes::URL_PATH, options.cut(&path));
        if let Some(query) = request.uri.query() {
            let query = redact::query(query, &redaction.query_keys);
            into.text(attributes::URL_QUERY, options.cut(&query));
        }

        let route = self.route();
        self.routed.set(route.is_some());
        let peer = (self.options.peer)(request);
        let proxies = self.options.proxies.as_ref();
        let forwarded = proxies.map(|proxies| proxies.read(peer, request.headers));
        let forwarded = forwarded.unwrap_or_default();
        let scheme = self.options.scheme.as_ref().or(request.uri.scheme());
        let scheme = forwarded.scheme.or(scheme.map(http::uri::Scheme::as_str));
        let repeated = RepeatedAttributes {
            method: request.method,
            route: route.as_deref(),
            scheme: scheme.unwrap_or("http"),
            server: match forwarded.server {
                Some(server) => Server::Forwarded(server),
                None => Server::Authority(authority_of(request.uri, request.headers)),
            },
            version: request.version,
            user_agent: user_agent_of(request.headers),
        };
        repeated.tell(self.options, into);

        if let Some(peer) = peer {
            match forwarded.client {
                Some(client) => {
                    into.address(&attributes::CLIENT, client);
                    into.address(&attributes::PEER, peer.ip());
                }
                None => into.address(&attributes::CLIENT_AND_PEER, peer.ip()),
            }
            into.number(attributes::NETWORK_PEER_PORT, i64::from(peer.port()));
        }
        let captured = &self.options.extras.request;
        captured.tell(request.headers, redaction, into);
    }

    fn route(&self) -> Option<Cow<'a, str>> {
        self.options.route.as_ref()?(self.request)
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
        Some(SpanBuilder::from_name(name.to_cow()).with_kind(SpanKind::Server))
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
            status: None,
            rare: None,
        }
    }

    /// The span has begun.
    pub(crate) fn begin(&mut self, span: &OpenSpan, request: RequestHead<'_>) {
        if let Some(options) = &self.options {
            let redaction = &options.attributes.redaction;
            if let Some(running) = options.extras.begin(span, request, redaction) {
                self.rare.get_or_insert_default().running = Some(running);
            }
        }
    }

    /// Renames the span when it ends, if a router has named the route by then.
    pub(crate) fn defer_route(&mut self, route: DeferredRoute, method: &Method) {
        self.rare.get_or_insert_default().deferred = Some((route, method.clone()));
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
        if let Some(options) = &self.options {
            let failure = failed.then(|| status_failure(head.status));
            if let Some(failure) = classified(options.classify.as_ref(), head, failure) {
                self.rare.get_or_insert_default().failure = Some(failure);
            }
            if let Some(rare) = &mut self.rare
                && let Some(running) = &mut rare.running
            {
                running.head(&options.extras, head, &options.attributes.redaction);
            }
        }
        self.answer.rest(head.status)
    }

    fn trailers(&mut self, _trailers: &HeaderMap) {}

    fn error<E: 'static>(&mut self, error: &E) {
        if let Some(options) = &self.options {
            let keys = &options.attributes.redaction.query_keys;
            self.rare.get_or_insert_default().failure = Some(failure_of(error, keys));
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        let Some(options) = self.options.take() else {
            return;
        };
        if let Some(status) = self.status {
            span.set_attribute(attributes::status_code(status));
        }
        let failure = self
            .rare
            .take()
            .and_then(|rare| rare.end(outcome, span, &options));
        span.end(outcome, failure, []);
    }
}

// === impl Rare ===

impl Rare {
    /// Tells the span what it has; gives the failure.
    fn end(self, outcome: Outcome, span: &OpenSpan, options: &Options) -> Option<Failure> {
        let attributes = &options.attributes;
        let renamed = self
            .running
            .as_ref()
            .is_some_and(|running| running.is_renamed());
        if let Some((deferred, method)) = &self.deferred
            && let Some(found) = deferred.get()
        {
            if !renamed {
                let name = attributes.routed_name(method, &found).to_cow();
                span.context().span().update_name(name);
            }
            let found = attributes.shared(&found);
            span.set_attribute(KeyValue::new(attributes::HTTP_ROUTE, found));
        }
        let failure = self.failure.filter(|_| outcome != Outcome::Panicked);
        if let Some(running) = self.running {
            let captured = running.end(
                &options.extras,
                outcome,
                failure.as_ref(),
                &attributes.redaction,
            );
            for attribute in captured {
                span.set_attribute(attribute);
            }
        }
        failure
    }
}
