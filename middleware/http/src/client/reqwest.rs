//! The client layer over a `reqwest::Client`.
//!
//! ```no_run
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use towline_http::client::TraceLayer;
//! use towline_http::client::reqwest::Client;
//!
//! # async fn run() -> Result<(), reqwest::Error> {
//! let provider = SdkTracerProvider::builder().build();
//! let client = reqwest::Client::new();
//! let traced = Client::new(client.clone(), &TraceLayer::new(provider.tracer("users")));
//!
//! let request = client.get("http://users.example/users/42").build()?;
//! let name = traced.execute(request).await?.text().await?;
//! # let _ = name;
//! # Ok(())
//! # }
//! ```
//!
//! reqwest follows redirects inside the span: it is one span, and one `traceparent`, for all of
//! them. The span ends with the body of the response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use http::{Request, Response};
use opentelemetry::trace::Tracer;
use reqwest::{Body, ResponseBuilderExt as _};
use tower_layer::Layer;
use tower_service::Service;

use super::{Trace, TraceLayer};
use crate::peer::PeerAddr;

/// A `reqwest::Client` whose requests are traced.
#[derive(Clone)]
pub struct Client<T> {
    service: Trace<HttpClient, T>,
}

/// A `reqwest::Client` as a service of `http` types, for a stack of tower layers.
///
/// It has no backpressure of its own: it is always ready.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);

/// The future of [`HttpClient`].
#[must_use = "futures do nothing unless polled"]
pub struct HttpFuture(Pin<Box<dyn Future<Output = HttpResult> + Send>>);

type HttpResult = Result<Response<Body>, reqwest::Error>;

// === impl Client ===

impl<T: Clone> Client<T> {
    /// Puts the layer around the client.
    #[must_use]
    pub fn new(client: reqwest::Client, layer: &TraceLayer<T>) -> Self {
        Self {
            service: layer.layer(HttpClient::new(client)),
        }
    }
}

impl<T> Client<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    /// Sends a request, as `reqwest::Client::execute` does.
    ///
    /// # Errors
    ///
    /// Those of `reqwest::Client::execute`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the request.
    pub async fn execute(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, reqwest::Error> {
        // The context that matters is the one in which the request is sent off.
        let response = {
            let mut service = self.service.clone();
            service.call(Request::try_from(request)?)
        };
        Ok(reqwest::Response::from(response.await?.map(Body::wrap)))
    }
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("inner", self.service.get_ref())
            .finish_non_exhaustive()
    }
}

// === impl HttpClient ===

impl HttpClient {
    /// The client as a service.
    #[must_use]
    pub const fn new(client: reqwest::Client) -> Self {
        Self(client)
    }
}

impl<B: Into<Body>> Service<Request<B>> for HttpClient {
    type Response = Response<Body>;
    type Error = reqwest::Error;
    type Future = HttpFuture;

    fn poll_ready(&mut self, _cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request = reqwest::Request::try_from(request);
        let client = self.0.clone();
        HttpFuture(Box::pin(async move {
            let response = client.execute(request?).await?;
            let peer = response.remote_addr().map(PeerAddr);
            let url = Response::builder().url(response.url().clone()).body(());
            let mut response = Response::from(response);
            // Where the answer came from after redirects; `reqwest::Response` wants it back.
            if let Ok(carrier) = url {
                response
                    .extensions_mut()
                    .extend(carrier.into_parts().0.extensions);
            }
            if let Some(peer) = peer {
                response.extensions_mut().insert(peer);
            }
            Ok(response)
        }))
    }
}

// === impl HttpFuture ===

impl Future for HttpFuture {
    type Output = HttpResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for HttpFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFuture").finish_non_exhaustive()
    }
}
