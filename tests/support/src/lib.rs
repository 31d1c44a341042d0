//! Test doubles for code that emits OpenTelemetry spans.
//!
//! Everything is synchronous and in memory: a span that has ended is there to look at, with nothing
//! to flush and nothing to wait for.
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
//! | how many log events there were | [`LogCounter`] |
//! | how many allocations there were | `allocations::count`, feature `allocations` |
//!
//! # Features
//!
//! - `allocations`: the module `allocations`. It replaces the global allocator of every binary that
//!   links this crate by one that counts, which is why it is a choice.
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
mod future;
mod logs;
mod memory;
mod probe;
mod sampler;
mod service;
mod test_tracing;

pub use self::assertions::{
    assert_child_of, assert_no_duplicate_attributes, assert_outcome, assert_root, attribute,
    error_description, text_attribute,
};
pub use self::body::{BodyStep, ScriptedBody, ScriptedError};
pub use self::caller::Caller;
pub use self::future::{ScriptedFuture, poll_once};
pub use self::logs::LogCounter;
pub use self::memory::Memory;
pub use self::probe::{Observed, Probe, current_span_context};
pub use self::sampler::{Asked, SamplerSpy};
pub use self::service::ScriptedService;
pub use self::test_tracing::TestTracing;
