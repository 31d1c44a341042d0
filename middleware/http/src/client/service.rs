use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::Context;
use opentelemetry::trace::Tracer;
use tower_service::Service;
use towline_span::Spans;

use super::layer::Options;
use super::record::{Description, Recorder};
use super::{ResponseBody, ResponseFuture};

/// The service of [`TraceLayer`](super::TraceLayer). See the [module documentation](super).
#[derive(Debug)]
pub struct Trace<S, T> {
    inner: S,
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    spans: Spans<T>,
    options: Options,
}

impl<S, T> Trace<S, T> {
    pub(super) fn new(inner: S, spans: Spans<T>, options: Options) -> Self {
        Self {
            inner,
            shared: Arc::new(Shared { spans, options }),
        }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, unwrapped.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, T> Clone for Trace<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, T, ReqB, ResB> Service<Request<ReqB>> for Trace<S, T>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: 'static,
    T: Tracer,
    T::Span: Send + Sync + 'static,
    ResB: Body,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let Shared { spans, options } = &*self.shared;
        let base = Context::current();
        if !spans.is_enabled() {
            options.propagator.inject(&base, request.headers_mut());
            return ResponseFuture::untraced(self.inner.call(request));
        }
        let span = spans.start(&base, &Description::new(options, &request));
        options
            .propagator
            .inject(span.context(), request.headers_mut());
        let record = Recorder::new(request.method());
        ResponseFuture::call(span, record, || self.inner.call(request))
    }
}
