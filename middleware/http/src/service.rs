use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;
use towline_span::OpenSpan;

use crate::body::ResponseBody;
use crate::exchange::Record;
use crate::future::ResponseFuture;

/// The service of every Towline layer over HTTP: begins an exchange with each request and follows
/// it to its end.
///
/// `L` is the layer itself, which knows how to [begin](Begin::begin): a
/// [`server::TraceLayer`](crate::server::TraceLayer), a
/// [`client::TraceLayer`](crate::client::TraceLayer), one of gRPC's. Clones share it.
#[derive(Debug)]
pub struct Trace<S, L> {
    inner: S,
    layer: Arc<L>,
}

/// What a layer does with a request before the inner service is called.
pub trait Begin {
    /// What is recorded of the exchange.
    type Record: Record;

    /// Starts the span of a request. Nothing where there is nothing to do: tracing is off, and there
    /// is no context to keep current.
    ///
    /// A server's layer reads the caller's context from the request; a client's writes its own into
    /// it, also where there is no span.
    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Self::Record)>;
}

impl<S, L> Trace<S, L> {
    /// Puts a layer around a service.
    pub fn new(inner: S, layer: L) -> Self {
        Self {
            inner,
            layer: Arc::new(layer),
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

impl<S: Clone, L> Clone for Trace<S, L> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: Arc::clone(&self.layer),
        }
    }
}

impl<S, L, ReqB, ResB> Service<Request<ReqB>> for Trace<S, L>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: 'static,
    L: Begin,
    ResB: Body,
{
    type Response = Response<ResponseBody<ResB, L::Record>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, L::Record>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        match self.layer.begin(&mut request) {
            Some((span, record)) => ResponseFuture::call(span, record, || self.inner.call(request)),
            None => ResponseFuture::untraced(self.inner.call(request)),
        }
    }
}
