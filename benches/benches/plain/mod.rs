//! What one would write by hand on the OpenTelemetry SDK.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use pin_project_lite::pin_project;
use tower::Service;
use towline_http::PeerAddr;

#[derive(Clone)]
pub(crate) struct Plain<S> {
    inner: S,
    tracer: SdkTracer,
    propagator: Arc<TraceContextPropagator>,
    kind: SpanKind,
}

pin_project! {
    pub(crate) struct Future_<F> {
        #[pin]
        inner: F,
        context: Context,
    }
}

pin_project! {
    pub(crate) struct Body_<B> {
        #[pin]
        inner: B,
        context: Context,
    }
}

impl<S> Plain<S> {
    pub(crate) fn server(inner: S, tracer: SdkTracer) -> Self {
        Self {
            inner,
            tracer,
            propagator: Arc::default(),
            kind: SpanKind::Server,
        }
    }

    pub(crate) fn client(inner: S, tracer: SdkTracer) -> Self {
        Self {
            kind: SpanKind::Client,
            ..Self::server(inner, tracer)
        }
    }
}

impl<S, B> Service<Request<()>> for Plain<S>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    type Response = Response<Body_<B>>;
    type Error = S::Error;
    type Future = Future_<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        let parent = match self.kind {
            SpanKind::Server => self.propagator.extract(&HeaderExtractor(request.headers())),
            _ => Context::current(),
        };
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method.clone()),
        ];
        if let Some(host) = request.uri().host() {
            attributes.push(KeyValue::new("server.address", host.to_owned()));
        }
        if let Some(port) = request.uri().port_u16() {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
        if self.kind == SpanKind::Server
            && let Some(PeerAddr(peer)) = request.extensions().get()
        {
            let peer: &SocketAddr = peer;
            attributes.push(KeyValue::new("network.peer.address", peer.ip().to_string()));
            attributes.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
        }
        let builder = self
            .tracer
            .span_builder(method)
            .with_kind(self.kind.clone())
            .with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &parent);
        let context = parent.with_span(span);
        if self.kind == SpanKind::Client {
            let mut injector = HeaderInjector(request.headers_mut());
            self.propagator.inject_context(&context, &mut injector);
        }
        let attached = context.clone().attach();
        let inner = self.inner.call(request);
        drop(attached);
        Future_ { inner, context }
    }
}

impl<F, B, E> Future for Future_<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Body_<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _attached = this.context.clone().attach();
        let response = ready!(this.inner.poll(cx))?;
        let context = this.context.clone();
        Poll::Ready(Ok(response.map(|inner| Body_ { inner, context })))
    }
}

impl<B: Body> Body for Body_<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let _attached = this.context.clone().attach();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            let span = this.context.span();
            let code = trailers
                .get("grpc-status")
                .and_then(|code| code.to_str().ok());
            let name = match code {
                Some("0") => "OK",
                _ => "UNKNOWN",
            };
            span.set_attribute(KeyValue::new("rpc.response.status_code", name));
            if name != "OK" {
                span.set_status(Status::error(""));
            }
            span.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
