//! The codecs behind OpenTelemetry's interface for carriers.

mod baggage;
mod composite;
mod header_map;
mod lines;
mod trace_context;

pub use baggage::BaggagePropagator;
pub use composite::CompositePropagator;
pub use trace_context::TraceContextPropagator;

pub(crate) use header_map::{Incoming, Outgoing};
