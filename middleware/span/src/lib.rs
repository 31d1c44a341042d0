//! OpenTelemetry spans around any tower service, future, stream or closure, ended exactly once.
//!
//! [`SpanLayer`] traces a [`tower::Service`](tower_service::Service) of any request type: a cache, a
//! storage backend, a queue. [`Spans::span`] does the same by hand for a block of code. Both put the
//! span under whatever is current, from these crates, the OpenTelemetry API or tracing-opentelemetry
//! alike, and make it current for what runs inside.
//!
//! # Examples
//!
//! ```
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use towline_span::{SpanLayer, Spans};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let spans = Spans::new(provider.tracer("users"));
//!
//! // A service: one span a call, its error taken from the result.
//! let mut backend = ServiceBuilder::new()
//!     .layer(SpanLayer::new(spans.clone(), "backend/Get"))
//!     .service(service_fn(|key: u32| async move { key.checked_sub(1).ok_or("no such key") }));
//!
//! // By hand: what runs inside goes under it.
//! let found = spans
//!     .span("cache/Get")
//!     .try_run(async { backend.ready().await?.call(0).await })
//!     .await;
//! assert_eq!(found, Err("no such key"));
//!
//! let recorded = exporter.get_finished_spans()?;
//! assert_eq!(recorded[0].name, "backend/Get");
//! assert_eq!(recorded[1].name, "cache/Get");
//! assert_eq!(recorded[0].parent_span_id, recorded[1].span_context.span_id());
//! # Ok(())
//! # }
//! ```
//!
//! # How a span ends
//!
//! Exactly once, with an [`Outcome`]; every outcome but plain completion is the attribute
//! [`towline.outcome`](OUTCOME):
//!
//! | what happens | outcome | status |
//! |---|---|---|
//! | the work gives a result | `completed` | unset |
//! | the result is a failure, see [`Classify`] | `failed` | error, with `error.type` and the text |
//! | the future is dropped | `cancelled_before_response` | unset |
//! | a stream, or a body, is dropped once it has begun | `cancelled_during_body` | unset |
//! | `call` or a poll panics, also under a catch-unwind layer | `panicked` | error, `error.type` = `panic` |
//!
//! The status is set once, at the end, and never to `Ok`.
//!
//! # The parts
//!
//! [`Spans`] starts spans as cheaply as the sampler allows, [`OpenSpan`] keeps one current and ends
//! it. They are public because every other Towline layer is made of them, and yours can be. A
//! [`Recorder`] takes the place of the tracer's SDK where nobody needs what the SDK makes of a span.
//! [`carry`] takes the current context across tasks, threads and buffers.

pub mod carry;
pub mod redact;

mod call;
mod classify;
mod flagged;
mod future;
mod layer;
mod linked;
mod open;
mod outcome;
mod record;
mod recorded;
mod repeated;
mod shared;
mod silent;
mod spans;
mod stream;
mod text;

pub use self::call::SpanCall;
pub use self::classify::{Classify, ErrorText, NoFailure};
pub use self::future::SpanFuture;
pub use self::layer::{MakeSpan, SpanLayer, SpanService};
pub use self::open::OpenSpan;
pub use self::outcome::{ERROR_TYPE, Failure, MAX_DESCRIPTION_BYTES, OUTCOME, Outcome};
pub use self::record::{Described, NewSpan, Recorder, Recording, SpanName};
pub use self::repeated::{AddressKeys, Repeated, Teller};
pub use self::shared::{shared, shared_ip};
pub use self::spans::{Describe, Spans};
pub use self::stream::SpanStream;
pub use self::text::truncate;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
