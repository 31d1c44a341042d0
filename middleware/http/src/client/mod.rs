//! Client spans: one for each request that is sent, from its head to the last byte of the response.
//!
//! What [`TraceLayer`] does to a request, in order:
//!
//! 1. It starts a span of kind *client* under the context that is current in `call`: the server span
//!    of the request being answered, a span of the OpenTelemetry API, a span of tracing-opentelemetry.
//! 2. It writes the span's context into the headers: exactly one `traceparent`, whatever was copied
//!    there from elsewhere, `tracestate` and `baggage` if there are any. A trace that is not sampled
//!    is propagated as well.
//! 3. It calls the inner service with the span's context current, and keeps it current in every poll
//!    of the future and of the response body.
//! 4. It ends the span, once: when the body has ended, or failed, or is dropped; see
//!    [the table](super::server#how-a-span-ends).
//!
//! A body that is never read ends its span when it is dropped, as `cancelled_during_body`: the span
//! lasts as long as the answer is wanted.
//!
//! # Examples
//!
//! With the defaults:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use tower::{Service, ServiceBuilder, service_fn};
//! use towline_http::client::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = SdkTracerProvider::builder().build();
//! // In real life the service is a hyper-util client.
//! let mut client = ServiceBuilder::new()
//!     .layer(TraceLayer::new(provider.tracer("users")))
//!     .service(service_fn(|request: Request<()>| async move {
//!         assert!(request.headers().contains_key("traceparent"));
//!         Ok::<_, std::io::Error>(Response::new(Empty::<&'static [u8]>::new()))
//!     }));
//! client.call(Request::get("http://users.example/users/42").body(())?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! With a template for the name, and another list of query keys to redact:
//!
//! ```
//! # use http::{Request, Response};
//! # use http_body_util::Empty;
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! # use tower::{Service, ServiceBuilder, service_fn};
//! use std::borrow::Cow;
//!
//! use towline_http::client::TraceLayer;
//!
//! #[derive(Clone)]
//! struct Template(&'static str);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let layer = TraceLayer::new(provider.tracer("users"))
//!     .with_template(|request| Some(Cow::Borrowed(request.extensions.get::<Template>()?.0)))
//!     .with_redacted_query_keys(["token"]);
//! # let mut client = ServiceBuilder::new().layer(layer).service(service_fn(
//! #     |_request: Request<()>| async move {
//! #         Ok::<_, std::io::Error>(Response::new(Empty::<&'static [u8]>::new()))
//! #     },
//! # ));
//! let request = Request::get("http://me:pass@users.example/users/42?token=secret")
//!     .extension(Template("/users/{id}"))
//!     .body(())?;
//! client.call(request).await?;
//!
//! let spans = exporter.get_finished_spans()?;
//! assert_eq!(spans[0].name, "GET /users/{id}");
//! let url = spans[0].attributes.iter().find(|attribute| attribute.key.as_str() == "url.full");
//! assert_eq!(
//!     url.unwrap().value.as_str(),
//!     "http://REDACTED:REDACTED@users.example/users/42?token=REDACTED",
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # What is recorded
//!
//! The name is the method, or the method and the [template](TraceLayer::with_template). The attributes
//! are those of the HTTP semantic conventions 1.44.0:
//!
//! | attribute | from |
//! |---|---|
//! | `http.request.method`, `http.request.method_original` | the method, as [on the server](super::server#what-is-recorded) |
//! | `http.response.status_code` | the response |
//! | `url.full` | the target; user information and secret query values are redacted, also of URLs inside |
//! | `url.template` | [`with_template`](TraceLayer::with_template) |
//! | `server.address`, `server.port` | the target's authority, else `Host`; the port by default that of the scheme |
//! | `network.peer.address`, `network.peer.port` | [`PeerAddr`](crate::PeerAddr) in the response's extensions, or [`with_peer`](TraceLayer::with_peer) |
//! | `network.protocol.version` | the response |
//! | `http.request.resend_count` | [`ResendCount`] in the request's extensions, unless it is 0 |
//! | `http.request.header.<key>`, `http.response.header.<key>` | the headers that are [listed](TraceLayer::with_request_headers) |
//! | `error.type` | the type of a service's or body's error, or `panic`; else the status code from 400 up, unless [classified](TraceLayer::with_classify) otherwise |
//! | `towline.outcome` | how the span ended, unless it plainly completed |
//!
//! # Redirects and retries
//!
//! The layer records one span for each call of the service inside: below a layer that follows
//! redirects or retries that is one for each attempt, above it the whole. With a [`ResendCount`] in
//! its extensions, an attempt says which it is; the module `retry` (feature `retry`) has a policy for
//! `tower::retry` that sees to it, and an example with both spans.
//!
//! # Switched off
//!
//! While the [`Control`](towline_sampler::Control) of the layer's sampler is off there is no span; the
//! trace context that is current, if there is one, is still written into the headers.

mod layer;
mod record;
mod resend;

#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub mod reqwest;

#[cfg(feature = "retry")]
#[cfg_attr(docsrs, doc(cfg(feature = "retry")))]
pub mod retry;

pub use self::layer::TraceLayer;
pub use self::record::Recorder;
pub use self::resend::ResendCount;

/// The service of [`TraceLayer`].
pub type Trace<S, T> = crate::Trace<S, TraceLayer<T>>;

/// The future of [`Trace`].
pub type ResponseFuture<F> = crate::ResponseFuture<F, Recorder>;

/// The response body of [`Trace`].
pub type ResponseBody<B> = crate::ResponseBody<B, Recorder>;
