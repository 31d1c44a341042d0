//! Test doubles for code that emits OpenTelemetry spans.
//!
//! All but the collector is in memory, and all but what stands in for a backend is synchronous: a
//! span that has ended is there to look at, with nothing to flush and nothing to wait for.
//!
//! ```
//! use opentelemetry::trace::Status;
//! use towline_test_support::{TestTracing, attribute};
//!
//! let tracing = TestTracing::always();
//! let result: Result<(), &str> = tracing.spans().span("cache/Get").try_call(|| Err("no such key"));
//! assert_eq!(result, Err("no such key"));
//!
//! let span = tracing.only();
//! assert_eq!(span.name, "cache/Get");
//! assert_eq!(span.status, Status::error("no such key"));
//! assert_eq!(attribute(&span, "towline.outcome"), Some("failed".into()));
//! ```
//!
//! # What is in the kit
//!
//! | for | use |
//! |---|---|
//! | a tracer whose spans can be looked at | [`TestTracing`], or [`Memory`] in a provider of your own |
//! | one fact about a span | [`attribute`], [`assert_child_of`], [`assert_root`], [`assert_outcome`], … |
//! | a caller on the other side of the wire | [`Caller`] |
//! | what a sampler is asked | [`SamplerSpy`] |
//! | a body with a pause, an error, a panic in it | [`ScriptedBody`] |
//! | a future, a service that does as it is told | [`ScriptedFuture`], [`ScriptedService`] |
//! | which span was current while something ran | [`Probe`] |
//! | which log events there were, and how many | [`LogCounter`] |
//! | spans without a tracer | [`numbered_span`], [`number_of`] |
//! | an OTLP backend on a socket | `collector::Collector`, feature `collector` |
//! | an exporter's transport without a network | `transport::MemoryTransport`, feature `transport` |
//! | answers that wait for the test, or come at random | `Gate`, `Mix`, with either of the two |
//! | the spans of an OTLP request, and their ids | `spans_of`, `id_of`, with either of the two |
//! | certificates | `certificates::TestCa`, feature `certificates` |
//! | how many allocations there were | `allocations::count`, feature `allocations` |
//!
//! # Features
//!
//! None is on by default, so that what tests only layers stays light.
//!
//! - `allocations`: the module `allocations`. It replaces the global allocator of every binary that
//!   links this crate by one that counts, which is why it is a choice.
//! - `certificates`: the module `certificates`. Brings rustls with ring, and rcgen.
//! - `collector`: the module `collector`. Brings `certificates`, hyper, opentelemetry-proto.
//! - `transport`: the module `transport`. Brings `towline-otlp`.
//!
//! # Panics
//!
//! This is a crate for tests: what is not as expected panics, at the line of the test.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "allocations")]
#[cfg_attr(docsrs, doc(cfg(feature = "allocations")))]
pub mod allocations;

mod assertions;
mod body;
mod caller;
#[cfg(feature = "certificates")]
#[cfg_attr(docsrs, doc(cfg(feature = "certificates")))]
pub mod certificates;
#[cfg(feature = "collector")]
#[cfg_attr(docsrs, doc(cfg(feature = "collector")))]
pub mod collector;
mod future;
#[cfg(feature = "_script")]
mod gate;
mod ids;
mod logs;
mod memory;
mod probe;
#[cfg(feature = "collector")]
mod quiet;
mod sampler;
#[cfg(feature = "_script")]
mod script;
mod service;
mod spans;
#[cfg(feature = "_script")]
mod tally;
mod test_tracing;
#[cfg(feature = "transport")]
#[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
pub mod transport;

pub use self::assertions::{
    assert_child_of, assert_no_duplicate_attributes, assert_outcome, assert_root, attribute,
    error_description, text_attribute,
};
pub use self::body::{BodyStep, ScriptedBody, ScriptedError};
pub use self::caller::Caller;
pub use self::future::{ScriptedFuture, poll_once};
#[cfg(feature = "_script")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "collector", feature = "transport"))))]
pub use self::gate::Gate;
pub use self::ids::SampledIds;
pub use self::logs::{LogCounter, LogLine};
pub use self::memory::Memory;
pub use self::probe::{Observed, Probe, current_span_context};
pub use self::sampler::{Asked, SamplerSpy};
#[cfg(feature = "_script")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "collector", feature = "transport"))))]
pub use self::script::Mix;
pub use self::service::ScriptedService;
pub use self::spans::{number_of, numbered_span};
#[cfg(feature = "_script")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "collector", feature = "transport"))))]
pub use self::tally::{id_of, spans_of};
pub use self::test_tracing::TestTracing;
