//! `h`: what one would write by hand on the OpenTelemetry SDK.
//!
//! It does the same job as ours: its propagator, a builder with the same attributes, the context attached in `call`, in
//! every poll and in every frame of the body, the span to the end of the body.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use axum::extract::{ConnectInfo, MatchedPath};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::exchange::Template;

/// Makes spans by hand.
#[derive(Clone, Debug)]
pub struct PlainLayer {
    tracer: SdkTracer,
    propagator: Arc<TraceContextPropagator>,
    protocol: Protocol,
    kind: SpanKind,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    Grpc,
}

/// The service of [`PlainLayer`].
#[derive(Clone, Debug)]
pub struct Plain<S> {
    inner: S,
    layer: PlainLayer,
}

pin_project! {
    /// The future of [`Plain`].
    #[derive(Debug)]
    pub struct PlainFuture<F> {
        #[pin]
        inner: F,
        context: Context,
        protocol: Protocol,
        is_client: bool,
    }
}

pin_project! {
    /// The body of [`Plain`].
    #[derive(Debug)]
    pub struct PlainBody<B> {
        #[pin]
        inner: B,
        context: Context,
        protocol: Protocol,
    }
}

// === impl PlainLayer ===

impl PlainLayer {
    /// Around an HTTP server.
    pub fn server(tracer: SdkTracer) -> Self {
        Self {
            tracer,
            propagator: Arc::default(),
            protocol: Protocol::Http,
            kind: SpanKind::Server,
        }
    }

    /// Around an HTTP client.
    pub fn client(tracer: SdkTracer) -> Self {
        Self {
            kind: SpanKind::Client,
            ..Self::server(tracer)
        }
    }

    /// Around a gRPC server.
    pub fn grpc_server(tracer: SdkTracer) -> Self {
        Self {
            protocol: Protocol::Grpc,
            ..Self::server(tracer)
        }
    }

    fn describe<B>(&self, request: &Request<B>) -> (String, Vec<KeyValue>) {
        match (self.protocol, &self.kind) {
            (Protocol::Grpc, _) => describe_grpc(request),
            (Protocol::Http, SpanKind::Client) => describe_client(request),
            (Protocol::Http, _) => describe_server(request),
        }
    }
}

impl<S> Layer<S> for PlainLayer {
    type Service = Plain<S>;

    fn layer(&self, inner: S) -> Plain<S> {
        Plain {
            inner,
            layer: self.clone(),
        }
    }
}

/// The twelve of the thirteen attributes that are known when a request arrives.
fn describe_server<B>(request: &Request<B>) -> (String, Vec<KeyValue>) {
    let (uri, method) = (request.uri(), request.method());
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.to_string()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("url.path", uri.path().to_owned()),
    ];
    if let Some(query) = uri.query() {
        attributes.push(KeyValue::new("url.query", query.to_owned()));
    }
    let mut name = method.to_string();
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        name = format!("{method} {}", route.as_str());
        attributes.push(KeyValue::new("http.route", route.as_str().to_owned()));
    }
    if let Some(host) = text(request, "host") {
        push_host(&mut attributes, host);
    }
    push_peer(&mut attributes, request);
    attributes.extend(protocol_version(request.version()));
    if let Some(agent) = text(request, "user-agent") {
        attributes.push(KeyValue::new("user_agent.original", agent.to_owned()));
    }
    (name, attributes)
}

/// The five of the seven attributes that are known when a request is sent.
fn describe_client<B>(request: &Request<B>) -> (String, Vec<KeyValue>) {
    let (uri, method) = (request.uri(), request.method());
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.to_string()),
        KeyValue::new("url.full", uri.to_string()),
    ];
    if let Some(host) = uri.host() {
        attributes.push(KeyValue::new("server.address", host.to_owned()));
    }
    if let Some(port) = uri.port_u16() {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    let mut name = method.to_string();
    if let Some(Template(template)) = request.extensions().get() {
        name = format!("{method} {template}");
        attributes.push(KeyValue::new("url.template", *template));
    }
    (name, attributes)
}

/// The six of the seven attributes that are known when a call arrives.
fn describe_grpc<B>(request: &Request<B>) -> (String, Vec<KeyValue>) {
    let uri = request.uri();
    let method = uri.path().trim_start_matches('/').to_owned();
    let mut attributes = vec![
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", method.clone()),
    ];
    if let Some(authority) = uri.authority() {
        push_host(&mut attributes, authority.as_str());
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        attributes.push(KeyValue::new("network.peer.address", peer.ip().to_string()));
        attributes.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
    }
    (method, attributes)
}

fn text<'a, B>(request: &'a Request<B>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn push_host(attributes: &mut Vec<KeyValue>, host: &str) {
    let (address, port) = host.rsplit_once(':').unwrap_or((host, ""));
    attributes.push(KeyValue::new("server.address", address.to_owned()));
    if let Ok(port) = port.parse::<i64>() {
        attributes.push(KeyValue::new("server.port", port));
    }
}

fn push_peer<B>(attributes: &mut Vec<KeyValue>, request: &Request<B>) {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let address = peer.ip().to_string();
        attributes.push(KeyValue::new("client.address", address.clone()));
        attributes.push(KeyValue::new("network.peer.address", address));
        attributes.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
    }
}

fn protocol_version(version: Version) -> Option<KeyValue> {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        _ => return None,
    };
    Some(KeyValue::new("network.protocol.version", version))
}

// === impl Plain ===

impl<S, B, R> Service<Request<B>> for Plain<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<PlainBody<R>>;
    type Error = S::Error;
    type Future = PlainFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let PlainLayer {
            tracer,
            propagator,
            protocol,
            kind,
        } = &self.layer;
        let parent = match kind {
            SpanKind::Client => Context::current(),
            _ => propagator.extract(&HeaderExtractor(request.headers())),
        };
        let (name, attributes) = self.layer.describe(&request);
        let builder = tracer
            .span_builder(name)
            .with_kind(kind.clone())
            .with_attributes(attributes);
        let context = parent.with_span(tracer.build_with_context(builder, &parent));
        if *kind == SpanKind::Client {
            let mut injector = HeaderInjector(request.headers_mut());
            propagator.inject_context(&context, &mut injector);
        }
        let (protocol, is_client) = (*protocol, *kind == SpanKind::Client);
        let attached = context.clone().attach();
        let inner = self.inner.call(request);
        drop(attached);
        PlainFuture {
            inner,
            context,
            protocol,
            is_client,
        }
    }
}

// === impl PlainFuture ===

impl<F, B, E> Future for PlainFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<PlainBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _attached = this.context.clone().attach();
        let span = this.context.span();
        let response = match ready!(this.inner.poll(cx)) {
            Ok(response) => response,
            Err(error) => {
                span.set_status(Status::error(""));
                span.end();
                return Poll::Ready(Err(error));
            }
        };
        if *this.protocol == Protocol::Http {
            let status = response.status();
            span.set_attribute(KeyValue::new(
                "http.response.status_code",
                i64::from(status.as_u16()),
            ));
            if *this.is_client {
                protocol_version(response.version())
                    .into_iter()
                    .for_each(|it| span.set_attribute(it));
            }
            if status.is_server_error() || *this.is_client && status.is_client_error() {
                span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
                span.set_status(Status::error(""));
            }
        }
        let (context, protocol) = (this.context.clone(), *this.protocol);
        Poll::Ready(Ok(response.map(|inner| PlainBody {
            inner,
            context,
            protocol,
        })))
    }
}

// === impl PlainBody ===

impl<B: Body> Body for PlainBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let _attached = this.context.clone().attach();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let span = this.context.span();
        match &frame {
            Some(Ok(frame)) => {
                if *this.protocol == Protocol::Grpc
                    && let Some(trailers) = frame.trailers_ref()
                {
                    let code = trailers
                        .get("grpc-status")
                        .and_then(|code| code.to_str().ok());
                    let name = if code == Some("0") { "OK" } else { "UNKNOWN" };
                    span.set_attribute(KeyValue::new("rpc.response.status_code", name));
                    if name != "OK" {
                        span.set_status(Status::error(""));
                    }
                }
                if this.inner.is_end_stream() {
                    span.end();
                }
            }
            Some(Err(_)) => {
                span.set_status(Status::error(""));
                span.end();
            }
            None => span.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
