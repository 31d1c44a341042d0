use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Batch, ExportError, ExportErrorKind, PeerStatus, Receipt};

/// Leaves a peer alone that does not know the method: the layer of [`Unimplemented`].
///
/// A program that forwards its spans through a server it has a connection to anyway meets servers
/// that are older than that method. They answer UNIMPLEMENTED, and will do so again.
///
/// # Examples
///
/// Over a connection that is there already, with the method that [RFD 65] has for it:
///
/// ```
/// # #[cfg(feature = "grpc")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use http::uri::PathAndQuery;
/// use http::{Request, Response, Uri};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use towline_otlp::policy::UnimplementedLayer;
/// use towline_otlp::{Batch, ExportErrorKind, Grpc};
///
/// // In place of a `tonic::transport::Channel`: a server that has never heard of it.
/// let channel = service_fn(|request: Request<_>| async move {
///     let _: Request<tonic::body::Body> = request;
///     let response = Response::builder().header("content-type", "application/grpc");
///     response.header("grpc-status", "12").body(tonic::body::Body::empty())
/// });
/// let grpc = Grpc::with_client(channel, Uri::from_static("/"))
///     .with_method(PathAndQuery::from_static("/proto.AuthService/ExportSpan"));
/// let service = ServiceBuilder::new().layer(UnimplementedLayer::new()).service(grpc);
///
/// let error = service.clone().oneshot(Batch::default()).await.unwrap_err();
/// assert_eq!(error.kind(), ExportErrorKind::Unimplemented);
/// // From now on nothing is sent.
/// assert!(service.is_unimplemented());
/// # Ok(())
/// # }
/// # #[cfg(feature = "grpc")]
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [RFD 65]: https://github.com/gravitational/teleport/blob/v18.0.0/rfd/0065-distributed-tracing.md
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct UnimplementedLayer;

/// Remembers that its peer does not know the method, and sends it nothing from then on.
///
/// The answer UNIMPLEMENTED becomes an error of the kind
/// [`Unimplemented`](ExportErrorKind::Unimplemented); every later batch gets the same error without
/// a call. An [`Exporter`](crate::Exporter) counts the spans as
/// [`refused`](crate::Dropped::refused), and tells it by one INFO. Clones remember together, for as
/// long as any of them lives.
#[derive(Clone, Debug)]
pub struct Unimplemented<S> {
    inner: S,
    known: Arc<AtomicBool>,
}

pin_project! {
    /// The future of [`Unimplemented`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, and nothing is remembered of it.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct UnimplementedFuture<F> {
        #[pin]
        inner: Option<F>,
        known: Arc<AtomicBool>,
    }
}

// === impl UnimplementedLayer ===

impl UnimplementedLayer {
    /// The layer; it has no options.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for UnimplementedLayer {
    type Service = Unimplemented<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Unimplemented::new(inner)
    }
}

// === impl Unimplemented ===

impl<S> Unimplemented<S> {
    /// A peer of which nothing is known yet.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            known: Arc::default(),
        }
    }

    /// Whether the peer has said that it does not know the method.
    #[must_use]
    pub fn is_unimplemented(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// The service that is called.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S> Service<Batch> for Unimplemented<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError>,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = UnimplementedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.is_unimplemented() {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        // What was known when it was polled ready may have changed; the other way round it cannot.
        let inner = (!self.is_unimplemented()).then(|| self.inner.call(batch));
        UnimplementedFuture {
            inner,
            known: Arc::clone(&self.known),
        }
    }
}

// === impl UnimplementedFuture ===

impl<F> Future for UnimplementedFuture<F>
where
    F: Future<Output = Result<Receipt, ExportError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(Err(ExportError::new(
                ExportErrorKind::Unimplemented,
                "the peer has said that it does not take spans",
            )));
        };
        Poll::Ready(ready!(inner.poll(cx)).map_err(|error| match error.kind() {
            ExportErrorKind::Refused(PeerStatus::Grpc(UNIMPLEMENTED)) => {
                this.known.store(true, Ordering::Relaxed);
                ExportError::new(
                    ExportErrorKind::Unimplemented,
                    "the peer does not take spans",
                )
                .with_source(error)
            }
            _ => error,
        }))
    }
}

/// [The gRPC status](https://github.com/grpc/grpc/blob/v1.76.0/doc/statuscodes.md) of a method that
/// a server does not know.
const UNIMPLEMENTED: i32 = 12;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tower::{ServiceExt, service_fn};

    use super::*;

    /// Answers one status after the other, and OK when there are no more; counts its calls.
    fn peer(
        statuses: &'static [i32],
        calls: &Arc<AtomicUsize>,
    ) -> impl Service<
        Batch,
        Response = Receipt,
        Error = ExportError,
        Future = impl Future<Output = Result<Receipt, ExportError>>,
    > + Clone {
        let calls = Arc::clone(calls);
        service_fn(move |_: Batch| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                match statuses.get(call) {
                    Some(code) => Err(ExportError::refused("peer", PeerStatus::Grpc(*code))),
                    None => Ok(Receipt::accepted()),
                }
            }
        })
    }

    #[tokio::test]
    async fn a_peer_that_does_not_know_the_method_is_asked_once() {
        let calls = Arc::default();
        let service = UnimplementedLayer::new().layer(peer(&[12], &calls));
        assert!(!service.is_unimplemented());
        for _ in 0..3 {
            let error = service.clone().oneshot(Batch::default()).await.unwrap_err();
            assert_eq!(error.kind(), ExportErrorKind::Unimplemented);
            assert!(!error.is_retryable());
        }
        assert!(service.is_unimplemented());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn another_status_is_nothing_to_remember() {
        let calls = Arc::default();
        let service = UnimplementedLayer::new().layer(peer(&[14, 7, 16], &calls));
        for code in [14, 7, 16] {
            let error = service.clone().oneshot(Batch::default()).await.unwrap_err();
            assert_eq!(
                error.kind(),
                ExportErrorKind::Refused(PeerStatus::Grpc(code))
            );
        }
        assert!(service.clone().oneshot(Batch::default()).await.is_ok());
        assert!(!service.is_unimplemented());
        assert_eq!(calls.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn the_peer_need_not_be_ready_any_more() {
        #[derive(Clone)]
        struct Once(bool);
        impl Service<Batch> for Once {
            type Response = Receipt;
            type Error = ExportError;
            type Future = std::future::Ready<Result<Receipt, ExportError>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
                if std::mem::replace(&mut self.0, true) {
                    return Poll::Pending;
                }
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: Batch) -> Self::Future {
                let refused = ExportError::refused("peer", PeerStatus::Grpc(12));
                std::future::ready(Err(refused))
            }
        }
        let mut service = UnimplementedLayer::new().layer(Once(false));
        for _ in 0..2 {
            let ready = service.ready().await.unwrap();
            let error = ready.call(Batch::default()).await.unwrap_err();
            assert_eq!(error.kind(), ExportErrorKind::Unimplemented);
        }
    }
}
