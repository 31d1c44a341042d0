//! OpenTelemetry server and client spans for gRPC over tower, with the status from wherever gRPC
//! puts it.
//!
//! A gRPC call is over when its last trailer is, and only then is it known how it went.
//! [`server::TraceLayer`] and [`client::TraceLayer`] follow every kind of call, unary or streaming, to
//! that end: the span lasts as long as the stream, and its status is the call's. They work on
//! [`http::Request`] and [`http::Response`], so on tonic's servers and channels, on a proxy that never
//! decodes a message, and on anything else that speaks gRPC over tower.
//!
//! # Examples
//!
//! ```
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::SdkTracerProvider;
//! # let provider = SdkTracerProvider::builder().build();
//! # let tracer = provider.tracer("example");
//! use tower::ServiceBuilder;
//!
//! // A proxy for any gRPC service; with tonic, the one goes into `Server::builder().layer(…)`, the
//! // other around the `Channel`.
//! let proxy = ServiceBuilder::new()
//!     .layer(towline_grpc::server::TraceLayer::new(tracer.clone()))
//!     .layer(towline_grpc::client::TraceLayer::new(tracer));
//! # let _ = proxy;
//! ```
//!
//! See [`server`] and [`client`] for complete ones, and [`ByContentType`] for a port that carries other
//! HTTP as well.
//!
//! # Conventions
//!
//! The names are those of the OpenTelemetry semantic conventions for RPC, which are a release candidate
//! and have been renamed on the way: [`Conventions`] chooses among them. [`SCHEMA_URL`] belongs into the
//! scope of the tracer.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tonic` | the module `interceptor`, and what tonic's errors and extensions know: its timeouts, statuses, peers |
//! | `full` | all of them |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod client;
pub mod server;

#[cfg(feature = "tonic")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
pub mod interceptor;

mod address;
mod call;
mod code;
mod conventions;
mod error;
mod extras;
mod health;
mod method;
mod options;
mod record;
mod shared_port;
mod status;
mod timeout;
mod trace_bin;

pub use self::code::Code;
pub use self::conventions::{Conventions, SCHEMA_URL};
pub use self::health::health_checks;
pub use self::shared_port::{ByContentType, Either};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
