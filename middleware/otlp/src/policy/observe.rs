use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Batch, ExportError, ExportErrorKind, Receipt};

/// Sees how every attempt ends, retried or not.
pub(crate) type Observer = Arc<dyn Fn(&Result<Receipt, ExportError>) + Send + Sync>;

/// Tells an [`Observer`] how each call ends; changes nothing.
#[derive(Clone)]
pub(crate) struct Observe<S> {
    inner: S,
    observer: Observer,
}

pin_project! {
    /// The future of [`Observe`].
    pub(crate) struct ObserveFuture<F> {
        #[pin]
        inner: F,
        observer: Observer,
    }
}

// === impl Observe ===

impl<S> Observe<S> {
    pub(crate) const fn new(inner: S, observer: Observer) -> Self {
        Self { inner, observer }
    }
}

impl<S> Service<Batch> for Observe<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError>,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = ObserveFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        ObserveFuture {
            inner: self.inner.call(batch),
            observer: Arc::clone(&self.observer),
        }
    }
}

// === impl ObserveFuture ===

impl<F> Future for ObserveFuture<F>
where
    F: Future<Output = Result<Receipt, ExportError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Here and not around the task: what other pieces of the batch have come to is not forgotten.
        let polled = catch_unwind(AssertUnwindSafe(|| this.inner.as_mut().poll(cx)));
        let result = ready!(polled.unwrap_or_else(|_| {
            let message = "the transport panicked";
            Poll::Ready(Err(ExportError::new(ExportErrorKind::Other, message)))
        }));
        (this.observer)(&result);
        Poll::Ready(result)
    }
}
