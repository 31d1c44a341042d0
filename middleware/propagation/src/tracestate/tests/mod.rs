//! `tracestate`: its grammar, what a `TraceState` holds of it, and what is sent.

mod grammar;
mod limits;
mod round_trip;
