//! The contract of W3C Trace Context, against [`Propagator`](towline_propagation::Propagator) on header maps.
//!
//! The W3C validates implementations with a suite that drives a running service over HTTP. The modules
//! `traceparent`, `tracestate` and `several_requests` hold its 41 tests under their own names, as tables: what
//! takes the suite a server takes us a function call. `beyond_the_suite` holds what a service can get wrong and
//! still pass it.
//!
//! Every case runs on both paths of the codec, the direct one and the one through `TextMapPropagator`.

mod beyond_the_suite;
mod hop;
mod several_requests;
mod traceparent;
mod tracestate;
