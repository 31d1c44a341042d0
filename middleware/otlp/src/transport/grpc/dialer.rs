use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::transport::client::BoxError;
use crate::transport::connect::{Connector, Trouble};

/// The HTTP/2 client that [`Grpc`](super::Grpc) uses by default.
///
/// A call that is dropped before its answer is complete, as by a timeout, leaves its connection for
/// good: the next call opens another. Pings would find a dead connection as well, but servers end
/// connections that ping too often, and commonly allow one in five minutes.
#[derive(Clone, Debug)]
pub struct GrpcClient {
    current: Arc<Mutex<Current>>,
}

type Http2 = Client<Connector, tonic::body::Body>;

#[derive(Debug)]
struct Current {
    client: Http2,
    /// For the next client.
    connector: Connector,
    /// Counts the clients, so that a late call does not end a connection that is not its own.
    number: u64,
}

/// Ends the connection of a call that is dropped while it is pending.
#[derive(Debug)]
struct Pending {
    current: Arc<Mutex<Current>>,
    number: u64,
    answered: bool,
}

pin_project! {
    /// The future of [`GrpcClient`].
    #[derive(Debug)]
    pub struct GrpcClientFuture {
        #[pin]
        inner: ResponseFuture,
        trouble: Trouble,
        pending: Option<Pending>,
    }
}

pin_project! {
    /// The response body of [`GrpcClient`].
    #[derive(Debug)]
    pub struct GrpcClientBody {
        #[pin]
        inner: Incoming,
        pending: Option<Pending>,
    }
}

// === impl GrpcClient ===

impl GrpcClient {
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            current: Arc::new(Mutex::new(Current::new(connector, 0))),
        }
    }
}

impl Service<http::Request<tonic::body::Body>> for GrpcClient {
    type Response = http::Response<GrpcClientBody>;
    type Error = BoxError;
    type Future = GrpcClientFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The client inside always is: it queues nothing, each call looks for a connection.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let (client, trouble, number) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let trouble = current.connector.trouble().clone();
            (current.client.clone(), trouble, current.number)
        };
        let pending = Pending {
            current: Arc::clone(&self.current),
            number,
            answered: false,
        };
        GrpcClientFuture {
            inner: client.request(request),
            trouble,
            pending: Some(pending),
        }
    }
}

// === impl Current ===

impl Current {
    /// A client without a connection yet.
    fn new(connector: Connector, number: u64) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build(connector.clone());
        Self {
            client,
            connector,
            number,
        }
    }
}

// === impl Pending ===

impl Pending {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.number == self.number {
                let connector = current.connector.clone();
                *current = Current::new(connector, self.number.wrapping_add(1));
            }
        }
    }
}

// === impl GrpcClientFuture ===

impl Future for GrpcClientFuture {
    type Output = Result<http::Response<GrpcClientBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let pending = this.pending.take();
        Poll::Ready(match result {
            Ok(response) => Ok(response.map(|inner| {
                let mut body = GrpcClientBody { inner, pending };
                body.settle_if_ended();
                body
            })),
            Err(error) => {
                // The client has noticed by itself.
                if let Some(pending) = pending {
                    pending.answered();
                }
                Err(this.trouble.explain(error))
            }
        })
    }
}

// === impl GrpcClientBody ===

impl GrpcClientBody {
    fn settle_if_ended(&mut self) {
        if self.inner.is_end_stream()
            && let Some(pending) = self.pending.take()
        {
            pending.answered();
        }
    }
}

impl Body for GrpcClientBody {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        let ended = match &frame {
            None | Some(Err(_)) => true,
            Some(Ok(frame)) => frame.is_trailers(),
        };
        if ended && let Some(pending) = this.pending.take() {
            pending.answered();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
