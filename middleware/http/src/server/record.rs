use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt};
use towline_span::{Describe, Failure, OpenSpan, Outcome};

use super::layer::Options;
use super::route::DeferredRoute;
use crate::answer::Answer;
use crate::attributes::{self, HostAndPort, failure_of, redacted, shared_display, status_failure};
use crate::exchange::{Record, Rest};
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
    status: Option<StatusCode>,
    error: Option<Failure>,
    deferred: Option<Deferred>,
}

/// A route that a router inside may yet name, and what is needed to rename the span then.
#[derive(Debug)]
struct Deferred {
    route: DeferredRoute,
    method: Method,
    options: Arc<Options>,
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

        let scheme = self.options.scheme.as_ref().or(request.uri.scheme());
        attributes.push(KeyValue::new(
            attributes::URL_SCHEME,
            match scheme.map(http::uri::Scheme::as_str) {
                None | Some("http") => "http".into(),
                Some("https") => "https".into(),
                Some(other) => options.shared(other),
            },
        ));
        attributes.push(KeyValue::new(
            attributes::URL_PATH,
            options.owned(request.uri.path()),
        ));
        if let Some(query) = request.uri.query() {
            let query = redacted(query, &options.redacted_query_keys);
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
        if let Some(server) = HostAndPort::of_request(request.uri, request.headers) {
            attributes.push(KeyValue::new(
                attributes::SERVER_ADDRESS,
                options.shared(server.host),
            ));
            if let Some(port) = server.port {
                attributes.push(KeyValue::new(attributes::SERVER_PORT, i64::from(port)));
            }
        }
        if let Some(peer) = (self.options.peer)(request) {
            let address = shared_display(peer.ip());
            attributes.extend([
                KeyValue::new(attributes::CLIENT_ADDRESS, address.clone()),
                KeyValue::new(attributes::NETWORK_PEER_ADDRESS, address),
                KeyValue::new(attributes::NETWORK_PEER_PORT, i64::from(peer.port())),
            ]);
        }
        attributes.extend(attributes::protocol_version(request.version));
        attributes.extend(options.user_agent(request.headers));

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
    pub(crate) fn new(method: &Method) -> Self {
        Self {
            answer: Answer::to(method),
            status: None,
            error: None,
            deferred: None,
        }
    }

    /// Renames the span when it ends, if a router has named the route by then.
    pub(crate) fn defer_route(
        &mut self,
        route: DeferredRoute,
        method: &Method,
        options: &Arc<Options>,
    ) {
        self.deferred = Some(Deferred {
            route,
            method: method.clone(),
            options: Arc::clone(options),
        });
    }
}

impl Record for Recorder {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        self.status = Some(head.status);
        self.answer.rest(head.status)
    }

    fn trailers(&mut self, _trailers: &HeaderMap) {}

    fn error<E: 'static>(&mut self, error: &E) {
        self.error = Some(failure_of(error));
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        let mut route = None;
        if let Some(deferred) = &self.deferred
            && let Some(found) = deferred.route.get()
        {
            let options = &deferred.options.attributes;
            let name = options.routed_name(&deferred.method, &found);
            span.context().span().update_name(name);
            route = Some(KeyValue::new(
                attributes::HTTP_ROUTE,
                options.shared(&found),
            ));
        }
        let failure = self.error.take().or_else(|| {
            self.status
                .filter(|status| outcome != Outcome::Panicked && status.is_server_error())
                .map(status_failure)
        });
        let status = self.status.map(attributes::status_code);
        span.end(outcome, failure, status.into_iter().chain(route));
    }
}
