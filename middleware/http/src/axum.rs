//! The route and the peer's address from what axum knows.
//!
//! Under `Router::layer` and `Router::route_layer` axum has found the route before the layer is
//! called: [`with_axum`](crate::server::TraceLayer::with_axum) is all it takes.
//!
//! ```
//! use axum::body::Body;
//! use axum::{Router, routing::get};
//! use http::Request;
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::ServiceExt;
//! use towline_http::server::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let app = Router::new()
//!     .route("/users/{id}", get(|| async { "Ada" }))
//!     .layer(TraceLayer::new(provider.tracer("users")).with_axum());
//!
//! let response = app.oneshot(Request::get("/users/42").body(Body::empty())?).await?;
//! axum::body::to_bytes(response.into_body(), 16).await?;
//! assert_eq!(exporter.get_finished_spans()?[0].name, "GET /users/{id}");
//! # Ok(())
//! # }
//! ```
//!
//! Around the whole `Router`, as a layer of the server must stand that also wants to see what the
//! router refuses, the route is not known yet. [`RouteLayer`], inside, hands it out:
//!
//! ```
//! # use axum::body::Body;
//! # use axum::{Router, routing::get};
//! # use http::Request;
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! # use tower::{ServiceBuilder, ServiceExt};
//! # use towline_http::server::TraceLayer;
//! use towline_http::axum::RouteLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let app = Router::new()
//!     .route("/users/{id}", get(|| async { "Ada" }))
//!     .route_layer(RouteLayer::new());
//! let service = ServiceBuilder::new()
//!     .layer(TraceLayer::new(provider.tracer("users")).with_axum().with_deferred_route())
//!     .service(app);
//!
//! let response = service.oneshot(Request::get("/users/42").body(Body::empty())?).await?;
//! axum::body::to_bytes(axum::body::Body::new(response.into_body()), 16).await?;
//! assert_eq!(exporter.get_finished_spans()?[0].name, "GET /users/{id}");
//! # Ok(())
//! # }
//! ```
//!
//! There is no route for what no route matched, nor under `nest_service`; the method alone is the
//! name then.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::task::{self, Poll};

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use http::{Request, Uri};
use tower_layer::Layer;
use tower_service::Service;

use crate::head::RequestHead;
use crate::server::{DeferredRoute, PeerAddr, TraceLayer};

/// Tells a span outside the router which route axum has found; for `Router::route_layer`.
///
/// It fills the [`DeferredRoute`] of a
/// [`TraceLayer::with_deferred_route`] and does nothing where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteLayer(());

/// The service of [`RouteLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Route<S> {
    inner: S,
}

// === impl TraceLayer ===

impl<T> TraceLayer<T> {
    /// Takes the route from axum's `MatchedPath`, the target from axum's `OriginalUri`, and the
    /// peer's address from [`PeerAddr`] or axum's `ConnectInfo<SocketAddr>`.
    ///
    /// The target matters for a layer inside of a nested router, which sees a path without the
    /// prefix.
    #[must_use]
    pub fn with_axum(self) -> Self {
        self.with_route(matched_path)
            .with_target(original_uri)
            .with_peer(peer)
    }
}

// === impl RouteLayer ===

impl RouteLayer {
    /// The layer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = Route<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Route { inner }
    }
}

impl<S, B> Service<Request<B>> for Route<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let extensions = request.extensions();
        if let Some(deferred) = extensions.get::<DeferredRoute>()
            && let Some(route) = extensions.get::<MatchedPath>()
        {
            deferred.set(route.as_str());
        }
        self.inner.call(request)
    }
}

/// The route that axum has matched.
fn matched_path(request: RequestHead<'_>) -> Option<Cow<'_, str>> {
    let route = request.extensions.get::<MatchedPath>()?;
    Some(Cow::Borrowed(route.as_str()))
}

/// The target as it was before a nested router took its prefix off.
fn original_uri<'a>(request: &RequestHead<'a>) -> Option<&'a Uri> {
    let original = request.extensions.get::<OriginalUri>()?;
    Some(&original.0)
}

/// The peer's address as the server, or axum, has left it.
fn peer(request: RequestHead<'_>) -> Option<SocketAddr> {
    if let Some(peer) = request.extensions.get::<PeerAddr>() {
        return Some(peer.0);
    }
    let info = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0)
}
