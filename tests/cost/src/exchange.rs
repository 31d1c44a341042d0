//! The service that answers the request, and what drives the two as hyper does.

use std::convert::Infallible;
use std::hint::black_box;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::Service;

/// The service inside of all layers: pending once, then an answer.
#[derive(Debug)]
pub struct Bare<R>(PhantomData<fn() -> R>);

/// A future that is pending once.
#[derive(Debug)]
pub struct Later<R> {
    was_pending: bool,
    output: PhantomData<fn() -> R>,
}

/// A body that can be made from nothing.
pub trait Answer: Body<Data = Bytes> + Sized {
    /// The answer.
    fn answer() -> Self;
}

/// So many messages, and then the trailers of a call that went well.
#[derive(Debug, Default)]
pub struct Messages<const N: usize>(usize);

/// One exchange: it stops when the body says that it is over.
///
/// # Panics
///
/// When the service is not ready.
pub fn exchange<S, B, D>(service: &mut S, request: Request<B>)
where
    S: Service<Request<B>, Response = Response<D>, Error = Infallible>,
    D: Body,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        service.poll_ready(&mut cx).is_ready(),
        "a layer holds a ready service back"
    );
    let Ok(response) = finish(service.call(request));
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => drop(black_box(frame)),
            Poll::Ready(None) => break,
            Poll::Pending => unreachable!("the body is there"),
        }
    }
}

/// Polls a future to its end, which nobody needs to wait for, and drops it.
pub fn finish<F: Future>(future: F) -> F::Output {
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

// === impl Bare ===

impl<R> Bare<R> {
    /// The service.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Default for Bare<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B, R: Answer> Service<Request<B>> for Bare<R> {
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Later<R>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Later<R> {
        drop(black_box(request));
        Later::new()
    }
}

// === impl Later ===

impl<R> Later<R> {
    /// The future.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            was_pending: false,
            output: PhantomData,
        }
    }
}

impl<R> Default for Later<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Answer> Future for Later<R> {
    type Output = Result<Response<R>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.was_pending {
            return Poll::Ready(Ok(Response::new(R::answer())));
        }
        self.was_pending = true;
        Poll::Pending
    }
}

// === impl Answer ===

impl Answer for Full<Bytes> {
    fn answer() -> Self {
        Self::new(Bytes::from_static(b"{\"name\":\"Ada\"}"))
    }
}

// === impl Messages ===

impl<const N: usize> Answer for Messages<N> {
    fn answer() -> Self {
        Self(0)
    }
}

impl<const N: usize> Body for Messages<N> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        Poll::Ready(match self.0 {
            sent if sent <= N => Some(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x05hello")))),
            sent if sent == N + 1 => Some(Ok(Frame::trailers(trailers()))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0 > N
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    );
    trailers
}
