//! The codecs behind OpenTelemetry's interface for carriers.

mod baggage;
mod composite;
mod header_map;
mod lines;
mod trace_context;

pub use baggage::BaggagePropagator;
pub use composite::CompositePropagator;
pub use trace_context::TraceContextPropagator;

#[cfg(any(feature = "b3", feature = "envelope"))]
pub(crate) use header_map::NO_TEXT;
pub(crate) use header_map::{Incoming, Outgoing};
pub(crate) use lines::lines;
