//! Taking the current context to where the work really happens.
//!
//! The current context belongs to a thread. Work that moves to another one, or to another task,
//! leaves it behind unless it is carried:
//!
//! | the work goes through | carry it with |
//! |---|---|
//! | `tokio::spawn` | [`FutureExt::with_current_context`] |
//! | `spawn_blocking`, a thread | [`carry`](carry()) |
//! | tower's `Buffer`, any queue of requests | [`CarryLayer`] before it, [`ResumeLayer`] behind it |
//!
//! # Examples
//!
//! ```
//! use opentelemetry::context::FutureExt;
//! use opentelemetry::{Context, KeyValue};
//! use towline_span::carry;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #[derive(Debug, PartialEq)]
//! struct Tenant(u8);
//! let tenant = || Context::map_current(|cx| cx.get::<Tenant>().map(|tenant| tenant.0));
//!
//! let attached = Context::current_with_value(Tenant(7)).attach();
//! let task = tokio::spawn(async move { tenant() }.with_current_context());
//! let thread = tokio::task::spawn_blocking(carry::carry(tenant));
//! drop(attached);
//! assert_eq!(task.await?, Some(7));
//! assert_eq!(thread.await?, Some(7));
//! # Ok(())
//! # }
//! ```
//!
//! Around a buffer, whose worker calls the service from a task of its own:
//!
//! ```
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use towline_span::carry::{CarryLayer, ResumeLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower::BoxError> {
//! let mut service = ServiceBuilder::new()
//!     .layer(CarryLayer::new())
//!     .buffer(16)
//!     .layer(ResumeLayer::new())
//!     .service(service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n + 1) }));
//! assert_eq!(service.ready().await?.call(1).await?, 2);
//! # Ok(())
//! # }
//! ```

use std::task::{self, Poll};

use opentelemetry::Context;
use opentelemetry::context::{FutureExt, WithContext};
use tower_layer::Layer;
use tower_service::Service;

/// A request together with the context it was made in.
#[derive(Clone, Debug)]
pub struct Carried<Req> {
    context: Context,
    request: Req,
}

/// Sends each request on as a [`Carried`] one, with the context that is current in `call`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CarryLayer(());

/// The service of [`CarryLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Carry<S> {
    inner: S,
}

/// Unpacks [`Carried`] requests and makes their context current, in `call` and in every poll.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResumeLayer(());

/// The service of [`ResumeLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Resume<S> {
    inner: S,
}

/// A closure that runs with the context that is current *now*, wherever it is called.
pub fn carry<F, R>(work: F) -> impl FnOnce() -> R
where
    F: FnOnce() -> R,
{
    let context = Context::current();
    move || {
        let _attached = context.attach();
        work()
    }
}

// === impl CarryLayer ===

impl CarryLayer {
    /// A layer that packs the current context.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for CarryLayer {
    type Service = Carry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Carry { inner }
    }
}

impl<S, Req> Service<Req> for Carry<S>
where
    S: Service<Carried<Req>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.inner.call(Carried {
            context: Context::current(),
            request,
        })
    }
}

// === impl ResumeLayer ===

impl ResumeLayer {
    /// A layer that unpacks what [`CarryLayer`] packed.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for ResumeLayer {
    type Service = Resume<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Resume { inner }
    }
}

impl<S, Req> Service<Carried<Req>> for Resume<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = WithContext<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, carried: Carried<Req>) -> Self::Future {
        let attached = carried.context.clone().attach();
        let future = self.inner.call(carried.request);
        drop(attached);
        future.with_context(carried.context)
    }
}
