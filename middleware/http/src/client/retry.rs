//! The attempts of tower's retries, told apart.
//!
//! A [`TraceLayer`](super::TraceLayer) below the retries records each attempt, one above them the
//! logical call; a stack may have both. [`CountResends`] around the policy is what numbers the
//! attempts, as `http.request.resend_count`:
//!
//! ```
//! use std::future::{Ready, ready};
//!
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::retry::{Policy, RetryLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use towline_http::client::TraceLayer;
//! use towline_http::client::retry::CountResends;
//!
//! type Body = Empty<&'static [u8]>;
//!
//! /// A policy like any other: twice more, if the server is busy.
//! #[derive(Clone)]
//! struct WhileBusy(usize);
//!
//! impl<R, E> Policy<Request<Body>, Response<R>, E> for WhileBusy {
//!     type Future = Ready<()>;
//!
//!     fn retry(
//!         &mut self,
//!         _request: &mut Request<Body>,
//!         result: &mut Result<Response<R>, E>,
//!     ) -> Option<Ready<()>> {
//!         let busy = result.as_ref().ok()?.status() == StatusCode::SERVICE_UNAVAILABLE;
//!         self.0 = self.0.checked_sub(1).filter(|_| busy)?;
//!         Some(ready(()))
//!     }
//!
//!     fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
//!         Some(request.clone())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let layer = TraceLayer::new(provider.tracer("users"));
//! let client = ServiceBuilder::new()
//!     .layer(layer.clone()) // the logical call
//!     .layer(RetryLayer::new(CountResends::new(WhileBusy(2))))
//!     .layer(layer) // each attempt
//!     .service(service_fn(|_request: Request<Body>| async {
//!         let busy = Response::builder().status(503).body(Body::new());
//!         Ok::<_, std::io::Error>(busy.unwrap())
//!     }));
//! client.oneshot(Request::get("http://users.example/users/42").body(Body::new())?).await?;
//!
//! let spans = exporter.get_finished_spans()?;
//! let resent = spans.iter().map(|span| {
//!     let mut attributes = span.attributes.iter();
//!     let count = attributes.find(|kv| kv.key.as_str() == "http.request.resend_count")?;
//!     Some(count.value.to_string())
//! });
//! // Three attempts, and the call that they were made for.
//! assert_eq!(resent.collect::<Vec<_>>(), [None, Some("1".into()), Some("2".into()), None]);
//! let call = spans[3].span_context.span_id();
//! assert!(spans[..3].iter().all(|attempt| attempt.parent_span_id == call));
//! # Ok(())
//! # }
//! ```

use http::Request;
use tower::retry::Policy;

use super::ResendCount;

/// Any policy, whose copies of a request are numbered. See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct CountResends<P> {
    policy: P,
}

// === impl CountResends ===

impl<P> CountResends<P> {
    /// Numbers what this policy repeats.
    pub const fn new(policy: P) -> Self {
        Self { policy }
    }

    /// The policy.
    pub const fn get_ref(&self) -> &P {
        &self.policy
    }

    /// The policy.
    pub const fn get_mut(&mut self) -> &mut P {
        &mut self.policy
    }

    /// The policy, unwrapped.
    pub fn into_inner(self) -> P {
        self.policy
    }
}

impl<P, B, Res, E> Policy<Request<B>, Res, E> for CountResends<P>
where
    P: Policy<Request<B>, Res, E>,
{
    type Future = P::Future;

    fn retry(
        &mut self,
        request: &mut Request<B>,
        result: &mut Result<Res, E>,
    ) -> Option<Self::Future> {
        self.policy.retry(request, result)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let copy = self.policy.clone_request(request)?;
        Some(ResendCount::counted(request, copy))
    }
}
