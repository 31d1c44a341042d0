//! The least that a layer takes that looks for W3C's headers and has a future and a body of its own: nothing else is done.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use http::{HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// A layer that does nothing.
#[derive(Clone, Copy, Debug)]
pub struct FloorLayer;

/// The service of [`FloorLayer`].
#[derive(Clone, Debug)]
pub struct Floor<S> {
    inner: S,
}

/// What it would have with it, if it did anything: as much as ours.
type Exchange = [usize; 9];

pin_project! {
    /// The future of [`Floor`].
    #[derive(Debug)]
    pub struct FloorFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
    }
}

pin_project! {
    /// The body of [`Floor`].
    #[derive(Debug)]
    pub struct FloorBody<B> {
        #[pin]
        inner: B,
        exchange: Option<Exchange>,
    }
}

static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl<S> Layer<S> for FloorLayer {
    type Service = Floor<S>;

    fn layer(&self, inner: S) -> Floor<S> {
        Floor { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Floor<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<FloorBody<R>>;
    type Error = S::Error;
    type Future = FloorFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers();
        let is_there = headers.contains_key(&TRACEPARENT) || headers.contains_key(&BAGGAGE);
        FloorFuture {
            inner: self.inner.call(request),
            exchange: is_there.then_some([0; 9]),
        }
    }
}

impl<F, B, E> Future for FloorFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<FloorBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        let exchange = this.exchange.take();
        Poll::Ready(response.map(|response| response.map(|inner| FloorBody { inner, exchange })))
    }
}

impl<B: Body> Body for FloorBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
