//! Server spans: one for each request, from its head to the last byte of its response.
//!
//! What [`TraceLayer`] does to a request, in order:
//!
//! 1. It reads the caller's trace context from the headers: exactly one well-formed `traceparent`,
//!    `tracestate`, `baggage`. What is malformed counts as absent, and so does what is
//!    [not believed](crate::trust). If it is [asked to](TraceLayer::with_query_context) it looks into
//!    the query as well. A request that is [filtered out](crate::filter) goes on from here without a
//!    span.
//! 2. It starts a span of kind *server* under that context, or under the one that is current, or as
//!    a root. If nobody will keep the span only its context is made, in one allocation.
//! 3. It calls the inner service with the span's context current, and keeps it current in every poll
//!    of the future and of the response body.
//! 4. It ends the span, once: when the body has ended, with trailers, with an error, with a panic, or
//!    when the future or the body is dropped.
//!
//! The request, the response, readiness, errors, frames and hints pass through untouched.
//!
//! # Examples
//!
//! With the defaults, on any OpenTelemetry tracer:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use towline_http::server::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//!
//! let service = ServiceBuilder::new()
//!     .layer(TraceLayer::new(provider.tracer("users")))
//!     .service(service_fn(|_request: Request<Full<&'static [u8]>>| async {
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::new(&b"Ada"[..])))
//!     }));
//!
//! let request = Request::get("/users/42")
//!     .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
//!     .body(Full::default())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "Ada");
//!
//! let spans = exporter.get_finished_spans()?;
//! assert_eq!(spans[0].name, "GET");
//! assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
//! # Ok(())
//! # }
//! ```
//!
//! With a sampler that can be asked beforehand, the routes of a router of your own, and behind TLS:
//!
//! ```
//! use std::borrow::Cow;
//!
//! use http::uri::Scheme;
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use towline_http::server::TraceLayer;
//! use towline_sampler::{Control, Rate, Sampler};
//!
//! #[derive(Clone)]
//! struct MyRoute(&'static str);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sampler = Sampler::new(Control::new(Rate::ALWAYS));
//! # let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder()
//!     .with_simple_exporter(exporter.clone())
//!     .with_sampler(sampler.clone())
//!     .build();
//!
//! let layer = TraceLayer::new(provider.tracer("users"))
//!     .with_sampler(sampler)
//!     .with_scheme(Scheme::HTTPS)
//!     .with_route(|request| Some(Cow::Borrowed(request.extensions.get::<MyRoute>()?.0)));
//!
//! let service = ServiceBuilder::new().layer(layer).service(service_fn(
//!     |_request: Request<()>| async {
//!         Ok::<_, std::convert::Infallible>(Response::new(Empty::<&'static [u8]>::new()))
//!     },
//! ));
//! let request = Request::get("/users/42?sig=secret")
//!     .extension(MyRoute("/users/{id}"))
//!     .body(())?;
//! service.oneshot(request).await?;
//!
//! let spans = exporter.get_finished_spans()?;
//! assert_eq!(spans[0].name, "GET /users/{id}");
//! let value = |key: &str| {
//!     let found = spans[0].attributes.iter().find(|attribute| attribute.key.as_str() == key);
//!     found.map(|attribute| attribute.value.to_string())
//! };
//! assert_eq!(value("url.scheme").as_deref(), Some("https"));
//! assert_eq!(value("url.query").as_deref(), Some("sig=REDACTED"));
//! # Ok(())
//! # }
//! ```
//!
//! # What is recorded
//!
//! The name is the method and the route, `GET /users/{id}`, or the method alone where there is no
//! route. The attributes are those of the HTTP semantic conventions 1.44.0:
//!
//! | attribute | from |
//! |---|---|
//! | `http.request.method` | the method; `_OTHER` if it is not a known one |
//! | `http.request.method_original` | the method, if it is `_OTHER` |
//! | `http.response.status_code` | the response |
//! | `http.route` | [`with_route`](TraceLayer::with_route), or the [deferred](TraceLayer::with_deferred_route) one |
//! | `url.scheme` | a [trusted proxy](TraceLayer::with_trusted_proxies), else [`with_scheme`](TraceLayer::with_scheme), else the target, else `http` |
//! | `url.path`, `url.query` | the target; secret values in the query are [redacted](TraceLayer::with_redacted_query_keys), and so are those of URLs inside |
//! | `server.address`, `server.port` | a trusted proxy, else the target's authority, else `Host` |
//! | `client.address` | a trusted proxy, else the peer |
//! | `network.peer.address`, `network.peer.port` | [`PeerAddr`], or [`with_peer`](TraceLayer::with_peer) |
//! | `network.protocol.version` | the request |
//! | `user_agent.original` | `User-Agent` |
//! | `http.request.header.<key>`, `http.response.header.<key>` | the headers that are [listed](TraceLayer::with_request_headers) |
//! | `error.type` | the type of a service's or body's error, or `panic`; else the status code from 500 up |
//! | `towline.outcome` | how the span ended, unless it plainly completed; see [`Outcome`](towline_span::Outcome) |
//!
//! The status is an error for those that have an `error.type` and unset otherwise;
//! [`with_classify`](TraceLayer::with_classify) has the last word on responses. `Forwarded` and
//! `X-Forwarded-*` are believed of [trusted proxies](TrustedProxies) alone.
//!
//! # What may be added
//!
//! Listed headers, whose credentials stay hidden, and whatever a hook knows. Hooks are called for
//! requests that are recorded; a panic in one is caught.
//!
//! ```
//! # use http::{HeaderName, Request, Response};
//! # use http_body_util::Empty;
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use opentelemetry::KeyValue;
//! use towline_http::server::{TraceLayer, TrustedProxies};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let layer = TraceLayer::new(provider.tracer("users"))
//!     .with_request_headers(["x-tenant", "authorization"].map(HeaderName::from_static))
//!     .with_response_trace_id(HeaderName::from_static("x-trace-id"))
//!     .with_trusted_proxies(TrustedProxies::networks(["10.0.0.0/8"])?)
//!     .on_response(|response, span| {
//!         span.set_attribute(KeyValue::new("users.cached", response.headers.contains_key("age")));
//!     })
//!     .with_classify(|response, failure| failure.filter(|_| response.status != 501));
//! # let service = ServiceBuilder::new().layer(layer).service(service_fn(
//! #     |_request: Request<()>| async {
//! #         Response::builder().status(501).header("age", "1").body(Empty::<&'static [u8]>::new())
//! #     },
//! # ));
//!
//! let request = Request::get("/users/42")
//!     .header("x-tenant", "analytics")
//!     .header("authorization", "Bearer secret")
//!     .body(())?;
//! let response = service.oneshot(request).await?;
//! let span = &exporter.get_finished_spans()?[0];
//! assert_eq!(response.headers()["x-trace-id"], span.span_context.trace_id().to_string().as_str());
//! let value = |key: &str| {
//!     let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
//!     found.map(|attribute| attribute.value.to_string())
//! };
//! assert_eq!(value("http.request.header.x-tenant").as_deref(), Some(r#"["analytics"]"#));
//! assert_eq!(value("http.request.header.authorization").as_deref(), Some(r#"["REDACTED"]"#));
//! assert_eq!(value("users.cached").as_deref(), Some("true"));
//! assert_eq!(value("error.type"), None);
//! # Ok(())
//! # }
//! ```
//!
//! # How a span ends
//!
//! | what happens | outcome |
//! |---|---|
//! | the body ends, with or without trailers, or is empty from the start | `completed` |
//! | the server drops the body once the announced length is out | `completed` |
//! | the response to `HEAD`, or 204 or 304, which have no body | `completed`, at the head |
//! | the connection is upgraded: 101, or 2xx to `CONNECT` | `completed`, at the head |
//! | the service, or the body, fails | `failed` |
//! | the caller goes away before the head | `cancelled_before_response` |
//! | the caller goes away before the body's end | `cancelled_during_body` |
//! | the service, or the body, panics, also where a layer outside of this one catches it | `panicked` |
//!
//! # Switched off
//!
//! While the [`Control`](towline_sampler::Control) of the layer's sampler is off a request without
//! trace context passes with a branch and nothing else. One that carries trace context has it
//! attached, unchanged, so that the clients behind this service still pass it on.
//!
//! # Strangers
//!
//! A caller's context is believed unless the layer is told otherwise: it can put its requests into any
//! trace, and have all of them recorded. On a port that strangers reach,
//! [`with_trust_by`](TraceLayer::with_trust_by) says who is believed, and
//! [`Control::set_remote_limit`](towline_sampler::Control::set_remote_limit) how much they get; see
//! [`trust`](crate::trust).
//!
//! # Where to put the layer
//!
//! Outermost, before any layer that makes spans or log lines of its own; outside a catch-panic layer
//! too, so that the response it makes is part of the span. Inside a tower-http `TraceLayer` the two
//! spans are strangers unless there is no remote parent.

mod forwarded;
mod layer;
mod options;
mod query_context;
mod record;
mod repeated;
mod route;

pub use self::forwarded::{ForwardedHeaders, ParseNetworkError, TrustedProxies};
pub use self::layer::TraceLayer;
pub use self::record::Recorder;
pub use self::route::DeferredRoute;
pub use crate::peer::PeerAddr;

/// The service of [`TraceLayer`].
pub type Trace<S, T> = crate::Trace<S, TraceLayer<T>>;

/// The future of [`Trace`].
pub type ResponseFuture<F> = crate::ResponseFuture<F, Recorder>;

/// The response body of [`Trace`].
pub type ResponseBody<B> = crate::ResponseBody<B, Recorder>;
