//! A parent-based OpenTelemetry sampler with an exact per-million root rate and a live switch.
//!
//! A caller that decided to record a trace should get the whole trace: a *remote sampled* parent is
//! recorded here even when the local rate is 0. A caller that decided against it is obeyed as well.
//! Only where there is no parent, at the root of a trace, does the local [`Rate`] decide.
//!
//! ```
//! use opentelemetry::trace::{Span, Tracer, TracerProvider};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use towline_sampler::{Control, Rate, Sampler};
//!
//! # fn main() -> Result<(), towline_sampler::RateError> {
//! let control = Control::new(Rate::per_million(1_000_000)?);
//! let provider = SdkTracerProvider::builder()
//!     .with_sampler(Sampler::new(control.clone()))
//!     .build();
//! let tracer = provider.tracer("example");
//! assert!(tracer.start("recorded").is_recording());
//!
//! // Every clone of the control reaches the same switch, while the process serves.
//! control.set_rate(Rate::NEVER);
//! assert!(!tracer.start("not recorded").is_recording());
//! # Ok(())
//! # }
//! ```
//!
//! # What is decided, and by whom
//!
//! | parent span context | [`Branch`] option | default |
//! |---|---|---|
//! | none, or invalid | the root rate of [`Control`] | [`Rate::NEVER`] |
//! | remote, sampled | [`Sampler::with_remote_parent_sampled`] | [`Branch::Record`] |
//! | remote, not sampled | [`Sampler::with_remote_parent_not_sampled`] | [`Branch::Drop`] |
//! | local, sampled | [`Sampler::with_local_parent_sampled`] | [`Branch::Record`] |
//! | local, not sampled | [`Sampler::with_local_parent_not_sampled`] | [`Branch::Drop`] |
//!
//! These are the five branches of the specification's [`ParentBased`] sampler. The answer is never
//! `RecordOnly`, which the SDK's batch processor would export.
//!
//! The root decision is the specification's [consistent probability sampling]: the rightmost 56 bits
//! of the trace id against a rejection threshold, all in integers, so that any two services with the
//! same rate agree about the same trace.
//!
//! [`Sampler::with_probability_tracestate`] has the decision told along the trace, in `tracestate`.
//!
//! # Who may make us record
//!
//! Whoever can send a request can send a *sampled* `traceparent`. [`Control::set_remote_limit`] bounds
//! what that costs, while the process serves: above so many traces a second the local rate decides
//! about them too. [`Limiter`] is that bound by itself, for whoever tells callers apart.
//!
//! # Deciding before building
//!
//! A span that nobody will keep need not be described. [`Sampler::predecide`] answers from the
//! parent alone with a [`Predecision`]; the Towline layers skip the SDK on
//! [`No`](Predecision::No) and collect attributes up front only on [`Yes`](Predecision::Yes). A root is
//! a [`Yes`](Predecision::Yes) where every root is recorded, and an [`Ask`](Predecision::Ask) elsewhere;
//! whoever makes the trace id can then [`decide_root`](Sampler::decide_root).
//!
//! [`ParentBased`]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/trace/sdk.md#parentbased
//! [consistent probability sampling]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/trace/tracestate-probability-sampling.md

mod control;
mod decision;
mod limit;
mod limiter;
mod probability;
mod rate;
mod sampler;

pub use self::control::{Change, Control};
pub use self::decision::Decided;
pub use self::limit::Limit;
pub use self::limiter::Limiter;
pub use self::rate::{Rate, RateError, Threshold};
pub use self::sampler::{Branch, Predecision, Sampler};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
