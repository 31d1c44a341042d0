use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::retry;
use tower_layer::Layer;
use tower_service::Service;

use super::Backoff;
use crate::{Batch, ExportError, Receipt};

/// Sends a batch again when OTLP says so: see [`ExportError::is_retryable`] and [`Backoff`].
///
/// A partial success is a success and never sent again. Needs a Tokio runtime with time.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: Policy,
}

/// The service of [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: retry::Retry<Policy, S>,
}

pin_project! {
    /// The future of [`Retry`].
    pub struct RetryFuture<S: Service<Batch, Response = Receipt, Error = ExportError>> {
        #[pin]
        inner: retry::future::ResponseFuture<Policy, S, Batch>,
    }
}

/// Announces the end: from then on nothing waits for longer than there is time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    /// When everything ends.
    pub(crate) deadline: Instant,
    /// Whether retries are worth the time: not with a backend that was never there.
    pub(crate) patient: bool,
}

/// The state of one batch; the layer's own copy is that of a batch before its first attempt.
#[derive(Clone, Debug)]
struct Policy {
    backoff: Backoff,
    closing: Option<watch::Receiver<Option<Closing>>>,
    started: Option<Instant>,
    retries: u32,
}

// === impl RetryLayer ===

impl RetryLayer {
    /// A layer that retries by `backoff`.
    #[must_use]
    pub const fn new(backoff: Backoff) -> Self {
        Self {
            policy: Policy {
                backoff,
                closing: None,
                started: None,
                retries: 0,
            },
        }
    }

    /// Heeds the announcement of an end.
    #[must_use]
    pub(crate) fn closing(mut self, closing: watch::Receiver<Option<Closing>>) -> Self {
        self.policy.closing = Some(closing);
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry {
            inner: retry::Retry::new(self.policy.clone(), inner),
        }
    }
}

// === impl Retry ===

impl<S> Retry<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref()
    }

    /// The service inside.
    pub fn get_mut(&mut self) -> &mut S {
        self.inner.get_mut()
    }

    /// The service inside, by value.
    pub fn into_inner(self) -> S {
        self.inner.into_inner()
    }
}

impl<S> Service<Batch> for Retry<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = RetryFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        RetryFuture {
            inner: self.inner.call(batch),
        }
    }
}

// === impl RetryFuture ===

impl<S> Future for RetryFuture<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone,
{
    type Output = Result<Receipt, ExportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl<S: Service<Batch, Response = Receipt, Error = ExportError>> fmt::Debug for RetryFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").finish_non_exhaustive()
    }
}

// === impl Policy ===

impl retry::Policy<Batch, Receipt, ExportError> for Policy {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        _batch: &mut Batch,
        result: &mut Result<Receipt, ExportError>,
    ) -> Option<Self::Future> {
        let error = result.as_ref().err().filter(|error| error.is_retryable())?;
        let now = Instant::now();
        let elapsed = now - self.started.unwrap_or(now);
        let delay =
            self.backoff
                .delay(self.retries, elapsed, error.retry_after(), fastrand::f64())?;
        if let Some(closing) = self.closing.as_ref().and_then(|closing| *closing.borrow())
            && (!closing.patient || now + delay >= closing.deadline)
        {
            return None;
        }
        self.retries += 1;
        let closing = self.closing.clone();
        Some(Box::pin(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // One more attempt at once: there may be no time for the next.
                () = announced(closing) => {}
            }
        }))
    }

    fn clone_request(&mut self, batch: &Batch) -> Option<Batch> {
        // Called before each attempt; before the first one on the layer's own copy, which is cloned
        // right after.
        if self.retries == 0 {
            self.started = Some(Instant::now());
        }
        Some(batch.clone())
    }
}

/// Waits for an end to be announced from now on.
async fn announced(closing: Option<watch::Receiver<Option<Closing>>>) {
    let Some(mut closing) = closing else {
        return std::future::pending().await;
    };
    closing.borrow_and_update();
    if closing.changed().await.is_err() {
        std::future::pending().await
    }
}
