//! OpenTelemetry server and client spans for tower services over [`http::Request`] and
//! [`http::Response`], first byte to last.
//!
//! [`server::TraceLayer`] goes around a service that answers requests, [`client::TraceLayer`] around
//! one that sends them; together, server over client, they make a reverse proxy one hop of a trace.
//! Both speak W3C Trace Context, record the stable HTTP semantic conventions, keep the span's
//! context current wherever the inner service runs, and end the span with the last byte of the body.
//!
//! # Examples
//!
//! A server and a client, joined:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{Service, ServiceBuilder, service_fn};
//! use towline_http::{client, server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! type Body = Full<&'static [u8]>;
//!
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let tracer = provider.tracer("example");
//!
//! let server = ServiceBuilder::new()
//!     .layer(server::TraceLayer::new(tracer.clone()))
//!     .service(service_fn(|_request: Request<Body>| async {
//!         Ok::<_, Infallible>(Response::new(Body::new(b"hello")))
//!     }));
//! // In real life there is a network between the two.
//! let mut client = ServiceBuilder::new().layer(client::TraceLayer::new(tracer)).service(server);
//!
//! let request = Request::get("http://users.example/users/42").body(Body::default())?;
//! let response = client.call(request).await?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//!
//! let spans = exporter.get_finished_spans()?;
//! let (server, client) = (&spans[0], &spans[1]);
//! assert_eq!(server.parent_span_id, client.span_context.span_id());
//! assert!(server.parent_span_is_remote);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! None is on by default; `full` is all of them.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | the module `axum`: the route and the peer's address from what axum knows |
//! | `hyper-util` | the peer's address from what hyper-util's clients know |
//! | `reqwest` | the module `client::reqwest`: the client layer over a `reqwest::Client` |
//! | `retry` | the module `client::retry`: attempts of `tower::retry` that say which they are |
//!
//! # What is recorded at all, and for whom
//!
//! A sampler and its [`Control`](towline_sampler::Control) say how much; [`filter`] says which requests get
//! no span; [`trust`] says whose trace context is believed. All three can be changed while serving.
//!
//! # Building on it
//!
//! [`Trace`], [`ResponseFuture`] and [`ResponseBody`] carry a span through an exchange for any layer
//! that says how it [begins](Begin) and what it [records](Record); the gRPC layers are made of them, and
//! of [`extras`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod attributes;
pub mod client;
pub mod extras;
pub mod filter;
pub mod server;
pub mod trust;

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod axum;

#[cfg(feature = "hyper-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper-util")))]
pub mod hyper_util;

mod answer;
mod body;
mod exchange;
mod future;
mod head;
mod peer;
mod service;

pub use self::attributes::DEFAULT_VALUE_LIMIT_BYTES;
pub use self::body::ResponseBody;
pub use self::exchange::{Record, Rest};
pub use self::filter::{Filter, Filters};
pub use self::future::ResponseFuture;
pub use self::head::{RequestHead, ResponseHead};
pub use self::peer::PeerAddr;
pub use self::service::{Begin, Trace};
pub use self::trust::{CallerContext, SampledFlag, Trust};
pub use towline_span::redact::DEFAULT_REDACTED_QUERY_KEYS;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
