use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Batch, ExportError, ExportErrorKind, Receipt};

/// Gives every attempt to send a batch a limited time.
///
/// The time begins with the call and covers waiting until the service inside is ready, so that a
/// transport that never gets ready fails as well. An attempt that takes longer is dropped, and
/// fails with [`Timeout`](ExportErrorKind::Timeout), which is retryable. Needs a Tokio runtime with
/// time.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    timeout: Duration,
    peer: Option<Arc<str>>,
}

/// The service of [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    layer: TimeoutLayer,
}

pin_project! {
    /// The future of [`Timeout`].
    pub struct TimeoutFuture<S: Service<Batch>> {
        #[pin]
        attempt: Oneshot<S, Batch>,
        #[pin]
        sleep: Sleep,
        layer: TimeoutLayer,
    }
}

// === impl TimeoutLayer ===

impl TimeoutLayer {
    /// A layer that allows each attempt so much time.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            peer: None,
        }
    }

    /// Who is asked, for the message of the error. Default: nobody is named.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<Arc<str>>) -> Self {
        self.peer = Some(peer.into());
        self
    }

    fn error(&self) -> ExportError {
        let peer = self.peer.as_deref().unwrap_or("the backend");
        let message = format!("{peer} has not answered a batch within {:?}", self.timeout);
        ExportError::new(ExportErrorKind::Timeout, message)
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout {
            inner,
            layer: self.clone(),
        }
    }
}

// === impl Timeout ===

impl<S> Timeout<S> {
    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside, by value.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Batch> for Timeout<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = TimeoutFuture<S>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Whether the service inside is ready shows within the attempt, and counts towards its
        // time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        TimeoutFuture {
            attempt: Oneshot::new(self.inner.clone(), batch),
            sleep: tokio::time::sleep(self.layer.timeout),
            layer: self.layer.clone(),
        }
    }
}

// === impl TimeoutFuture ===

impl<S> Future for TimeoutFuture<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError>,
{
    type Output = Result<Receipt, ExportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.attempt.poll(cx) {
            return Poll::Ready(result);
        }
        this.sleep.poll(cx).map(|()| Err(this.layer.error()))
    }
}

impl<S: Service<Batch>> fmt::Debug for TimeoutFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture")
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt;

    /// Ready, or never; answers, or never.
    #[derive(Clone)]
    struct Silent {
        ready: bool,
    }

    impl Service<Batch> for Silent {
        type Response = Receipt;
        type Error = ExportError;
        type Future = std::future::Pending<Result<Receipt, ExportError>>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            if self.ready {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        }

        fn call(&mut self, _batch: Batch) -> Self::Future {
            std::future::pending()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ends_an_attempt_that_is_not_answered_or_never_begins() {
        for ready in [true, false] {
            let started = tokio::time::Instant::now();
            let service = TimeoutLayer::new(Duration::from_secs(10)).layer(Silent { ready });
            let error = service.oneshot(Batch::default()).await.unwrap_err();
            assert_eq!(error.kind(), ExportErrorKind::Timeout);
            assert!(error.is_retryable());
            assert_eq!(
                error.to_string(),
                "the backend has not answered a batch within 10s"
            );
            assert_eq!(started.elapsed(), Duration::from_secs(10));
        }
    }
}
