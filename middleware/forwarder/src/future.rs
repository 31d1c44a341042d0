use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use crate::ResponseBody;

/// The future of [`GrpcReceiver`](crate::GrpcReceiver) and [`HttpReceiver`](crate::HttpReceiver).
///
/// # Panics
///
/// When it is polled outside of a Tokio runtime, or in one without `enable_time`.
///
/// # Cancel safety
///
/// Dropping it gives the request up, also at the exporter. Its spans are counted as cancelled; they
/// may have arrived.
pub struct ResponseFuture {
    inner: Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>,
}

// === impl ResponseFuture ===

impl ResponseFuture {
    pub(crate) fn new(
        answer: impl Future<Output = Response<ResponseBody>> + Send + 'static,
    ) -> Self {
        Self {
            inner: Box::pin(answer),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
