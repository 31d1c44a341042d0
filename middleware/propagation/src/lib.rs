//! Trace context to and from the headers of a message, strictly to the specification.
//!
//! A trace stays whole only if every hop reads the context of the message it receives and writes it into the
//! messages it sends. This crate is that, and nothing else: [W3C Trace Context level 2][trace-context]
//! (`traceparent`, `tracestate`) and [W3C Baggage][baggage-spec], and where it is asked for the formats that were
//! there before, on OpenTelemetry's own types. It starts no span, keeps no state and logs nothing.
//!
//! - [`Propagator`] works on an [`http::HeaderMap`]. It is what Towline's layers hold.
//! - [`TraceContextPropagator`], [`BaggagePropagator`] and [`CompositePropagator`] work on every other carrier
//!   through [`TextMapPropagator`](opentelemetry::propagation::TextMapPropagator).
//! - [`Propagator::of`] reads and writes other formats as well, by their [names](PropagatorKind): B3, with the feature
//!   `b3`, and [Jaeger's](jaeger).
//! - [`environment`] is a carrier for processes, [`query`] one for URLs, [`PropagationContext`] one for maps of strings;
//!   `envelope`, with the feature of that name, is one for messages that have no room for headers.
//! - [`traceparent`], [`tracestate`] and [`baggage`] are the formats by themselves.
//!
//! # One hop
//!
//! ```
//! use http::HeaderMap;
//! use opentelemetry::{
//!     Context,
//!     trace::{SpanContext, SpanId, TraceContextExt},
//! };
//! use towline_propagation::{BAGGAGE, Propagator, TRACEPARENT, TRACESTATE};
//!
//! let mut received = HeaderMap::new();
//! received.insert(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?);
//! received.insert(TRACESTATE, "congo=t61rcWkgMzE".parse()?);
//! received.insert(BAGGAGE, "tenant=acme".parse()?);
//!
//! // Read what the caller sent ...
//! let propagator = Propagator::default();
//! let extraction = propagator.extract(&received, &Context::new());
//! let parent = extraction.parent.clone().ok_or("the caller sent no trace context")?;
//! assert!(parent.is_sampled());
//!
//! // ... do some work in a span of its own (a tracer would make it) ...
//! let span = SpanContext::new(
//!     parent.trace_id(),
//!     SpanId::from(0x00f067aa0ba902b7),
//!     parent.trace_flags(),
//!     false,
//!     parent.trace_state().insert("rojo", "00f067aa0ba902b7")?,
//! );
//! let context = extraction.into_context().with_remote_span_context(span);
//!
//! // ... and tell the next hop.
//! let mut sent = HeaderMap::new();
//! propagator.inject(&context, &mut sent);
//! assert_eq!(sent[TRACEPARENT], "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
//! assert_eq!(sent[TRACESTATE], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
//! assert_eq!(sent[BAGGAGE], "tenant=acme");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What bad input gets
//!
//! Headers come from a peer. None of them is an error, is logged, or takes more than a bounded amount of work
//! and memory; [`Extraction::rejected`] says what was left out, for counting.
//!
//! | input | answer |
//! |---|---|
//! | no `traceparent`, an illegal one, or more than one, equal or not | no parent; `tracestate` is not read |
//! | `traceparent` of a higher version | its first four fields are read, version `00` is sent |
//! | flags that level 2 does not define | dropped |
//! | an illegal member of `tracestate`, or more than 32 of them | no `tracestate`; the parent stands |
//! | a repeated key in `tracestate` | the leftmost stands |
//! | `tracestate` over 4096 bytes | shortened by whole members when it is sent |
//! | an illegal member of `baggage` | that member is left out |
//! | `baggage` beyond 64 members or 8192 bytes | what fits is kept |
//! | white space around values, members, keys | ignored where the grammars have it |
//!
//! The modules have the whole of it and the reasons. [`jaeger`] and `b3` have such a table too.
//!
//! # What it costs
//!
//! [`Propagator`] reads a lone `traceparent` without any allocation, and writes one with a single allocation;
//! a `tracestate` is one more to write. Tests assert both.
//!
//! # Beside OpenTelemetry's own propagators
//!
//! Those of `opentelemetry_sdk` 0.33 take malformed fields, read only the first `tracestate` or `baggage`
//! line, clear the *random* flag, send empty `tracestate` headers, and log what a peer sends. The ones here
//! are drop-in replacements. None of them reads or sets the process-global propagator.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `b3` | no | `b3`: B3 in both of its forms, and the names `b3` and `b3multi`; brings opentelemetry-propagator-b3 |
//! | `envelope` | no | `envelope`: messages with their context, for protocols without headers; brings serde_json and base64 |
//! | `full` | no | all of them |
//!
//! [trace-context]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/
//! [baggage-spec]: https://www.w3.org/TR/2024/CR-baggage-20240530/

#![cfg_attr(docsrs, feature(doc_cfg))]

mod extraction;
mod fields;
mod hex;
mod kind;
mod named;
mod names;
mod propagator;
mod remark;
mod text_map;
mod w3c_headers;
mod white_space;

#[cfg(feature = "b3")]
#[cfg_attr(docsrs, doc(cfg(feature = "b3")))]
pub mod b3;
pub mod baggage;
#[cfg(feature = "envelope")]
#[cfg_attr(docsrs, doc(cfg(feature = "envelope")))]
pub mod envelope;
pub mod environment;
pub mod jaeger;
pub mod query;
pub mod traceparent;
pub mod tracestate;

#[cfg(feature = "b3")]
#[cfg_attr(docsrs, doc(cfg(feature = "b3")))]
pub use b3::B3Propagator;
pub use extraction::{Extraction, Rejected};
pub use fields::PropagationContext;
pub use jaeger::JaegerPropagator;
pub use kind::{ParsePropagatorKindError, ParsePropagatorKindErrorKind, PropagatorKind};
pub use names::{BAGGAGE, TRACEPARENT, TRACESTATE};
pub use propagator::Propagator;
pub use text_map::{BaggagePropagator, CompositePropagator, TraceContextPropagator};
pub use traceparent::TraceParent;

/// The examples of the read-me are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
