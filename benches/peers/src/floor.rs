//! The least that a layer can take, piece by piece: each of these keeps a little more from the head of a request to the end
//! of its answer, and does nothing else.
//!
//! They are no layers that anybody could use: they say the same of every request.

mod ledger;
mod span;

pub use self::span::{Begun, LeastSpan, LeastTold};

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use towline_propagation::Propagator;

use crate::path::{PARENT_ID, TRACE_ID};

/// A layer that keeps something for as long as an exchange lasts.
#[derive(Clone, Debug)]
pub struct FloorLayer<K>(pub K);

/// What is kept.
pub trait Keep: Clone {
    /// For one exchange.
    type Kept;

    /// A request is there.
    fn begin<B>(&self, request: &mut Request<B>) -> Option<Self::Kept>;

    /// Runs what is inside: in `call`, in each poll of the future and of the body.
    fn enter<R>(_kept: &Self::Kept, work: impl FnOnce() -> R) -> R {
        work()
    }
}

/// Nothing but room, and only for a request that has one of two headers.
#[derive(Clone, Copy, Debug)]
pub struct Room;

/// The same for something that has to be ended if it is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Ending;

/// What is to be ended.
#[derive(Debug)]
pub struct Unended([usize; 8]);

/// The caller's context, read by our propagator, made once and current wherever ours is.
#[derive(Clone, Debug)]
pub struct Current {
    propagator: Propagator,
    /// What is current where no caller has said anything.
    root: SpanContext,
}

/// A child of what is current, written into the request by our propagator and current wherever ours is; its id is always the
/// same.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    propagator: Propagator,
}

/// The service of [`FloorLayer`].
#[derive(Clone, Debug)]
pub struct Floor<S, K> {
    inner: S,
    keep: K,
}

pin_project! {
    /// The future of [`Floor`].
    pub struct FloorFuture<F, K: Keep> {
        #[pin]
        inner: F,
        kept: Option<K::Kept>,
    }
}

pin_project! {
    /// The body of [`Floor`].
    pub struct FloorBody<B, K: Keep> {
        #[pin]
        inner: B,
        kept: Option<K::Kept>,
    }
}

static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
// === impl Keep ===

impl Keep for Room {
    type Kept = [usize; 9];

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Self::Kept> {
        has_context(request.headers()).then_some([0; 9])
    }
}

impl Keep for Ending {
    type Kept = Unended;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Unended> {
        has_context(request.headers()).then_some(Unended([0; 8]))
    }
}

impl Drop for Unended {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

impl Current {
    /// With a trace of this kind where no caller has said anything.
    pub fn new(is_sampled: bool) -> Self {
        Self {
            propagator: Propagator::w3c(),
            root: SpanContext::new(
                TraceId::from(TRACE_ID),
                SpanId::from(PARENT_ID),
                TraceFlags::default().with_sampled(is_sampled),
                false,
                TraceState::NONE,
            ),
        }
    }

    fn context(&self, headers: &HeaderMap) -> Context {
        let base = Context::current();
        let caller = self.propagator.extract(headers, &base);
        match caller.parent {
            Some(_) => caller.into_context(),
            None => base.with_remote_span_context(self.root.clone()),
        }
    }
}

impl Keep for Current {
    type Kept = Context;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Context> {
        Some(self.context(request.headers()))
    }

    fn enter<R>(kept: &Context, work: impl FnOnce() -> R) -> R {
        let attached = kept.clone().attach();
        let result = work();
        drop(attached);
        result
    }
}

impl Keep for Sent {
    type Kept = Context;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Context> {
        let base = Context::current();
        let parent = base.span().span_context().clone();
        let child = SpanContext::new(
            parent.trace_id(),
            SpanId::from(PARENT_ID),
            parent.trace_flags(),
            false,
            parent.trace_state().clone(),
        );
        let context = base.with_remote_span_context(child);
        self.propagator.inject(&context, request.headers_mut());
        Some(context)
    }

    fn enter<R>(kept: &Context, work: impl FnOnce() -> R) -> R {
        Current::enter(kept, work)
    }
}

fn has_context(headers: &HeaderMap) -> bool {
    headers.contains_key(&TRACEPARENT) || headers.contains_key(&BAGGAGE)
}

// === impl Floor ===

impl<S, K: Clone> Layer<S> for FloorLayer<K> {
    type Service = Floor<S, K>;

    fn layer(&self, inner: S) -> Floor<S, K> {
        Floor {
            inner,
            keep: self.0.clone(),
        }
    }
}

impl<S, K, B, R> Service<Request<B>> for Floor<S, K>
where
    S: Service<Request<B>, Response = Response<R>>,
    K: Keep,
{
    type Response = Response<FloorBody<R, K>>;
    type Error = S::Error;
    type Future = FloorFuture<S::Future, K>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let kept = self.keep.begin(&mut request);
        FloorFuture {
            inner: enter::<K, _>(&kept, || self.inner.call(request)),
            kept,
        }
    }
}

impl<F, K, B, E> Future for FloorFuture<F, K>
where
    F: Future<Output = Result<Response<B>, E>>,
    K: Keep,
{
    type Output = Result<Response<FloorBody<B, K>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(enter::<K, _>(this.kept, || this.inner.poll(cx)));
        let kept = this.kept.take();
        Poll::Ready(response.map(|response| response.map(|inner| FloorBody { inner, kept })))
    }
}

impl<B: Body, K: Keep> Body for FloorBody<B, K> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        enter::<K, _>(this.kept, || this.inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn enter<K: Keep, R>(kept: &Option<K::Kept>, work: impl FnOnce() -> R) -> R {
    match kept {
        Some(kept) => K::enter(kept, work),
        None => work(),
    }
}
