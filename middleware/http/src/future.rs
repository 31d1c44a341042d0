use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use towline_span::OpenSpan;

use crate::body::ResponseBody;
use crate::exchange::{Exchange, Record};

pin_project! {
    /// The future of every Towline layer over HTTP: the span's context is current in each poll, and
    /// the span goes on into the [`ResponseBody`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the inner future first and then ends the span as
    /// [`Outcome::CancelledBeforeResponse`](towline_span::Outcome::CancelledBeforeResponse).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, R: Record> {
        #[pin]
        inner: F,
        exchange: Option<Exchange<R>>,
    }
}

impl<F, R: Record> ResponseFuture<F, R> {
    /// Calls a service inside `span` and follows its answer with `record`.
    ///
    /// `call` runs with the span's context current; a panic in it ends the span as
    /// [`Outcome::Panicked`](towline_span::Outcome::Panicked) and goes on.
    pub fn call(span: OpenSpan, record: R, call: impl FnOnce() -> F) -> Self {
        let mut exchange = Exchange::new(span, record);
        let inner = exchange.enter(call);
        Self {
            inner,
            exchange: Some(exchange),
        }
    }

    /// A future without a span: what a layer returns that is switched off.
    pub const fn untraced(inner: F) -> Self {
        Self {
            inner,
            exchange: None,
        }
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: Record,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B, R>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // On its own, so that a response is moved once where nothing is to be done with it.
        let Some(exchange) = this.exchange else {
            let response = ready!(this.inner.poll(cx));
            return Poll::Ready(response.map(|response| response.map(ResponseBody::untraced)));
        };
        let result = ready!(exchange.enter(|| this.inner.poll(cx)));
        Poll::Ready(finish(result, this.exchange.take()))
    }
}

/// The response, with the exchange going on in its body, or the error that ends it.
#[inline(never)]
fn finish<B, R, E>(
    result: Result<Response<B>, E>,
    exchange: Option<Exchange<R>>,
) -> Result<Response<ResponseBody<B, R>>, E>
where
    R: Record,
    B: Body,
    E: 'static,
{
    match (result, exchange) {
        (Ok(response), Some(exchange)) => Ok(ResponseBody::wrap(response, exchange)),
        (Ok(response), None) => Ok(response.map(ResponseBody::untraced)),
        (Err(error), exchange) => {
            if let Some(mut exchange) = exchange {
                exchange.fail(&error);
            }
            Err(error)
        }
    }
}

impl<F: fmt::Debug, R: Record> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("inner", &self.inner)
            .field("traced", &self.exchange.is_some())
            .finish()
    }
}
