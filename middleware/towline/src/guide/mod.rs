//! Guides for those who run services: what is not about one type or function.
//!
//! - [`operating`]: each failure with its symptom, line in the log, counter and remedy; how to switch off; what to watch.
//! - [`collecting`]: the OpenTelemetry Collector, with Jaeger or Zipkin behind it.

#[doc = include_str!("operating.md")]
pub mod operating {}

#[doc = include_str!("collecting.md")]
///
/// `compose.yaml`:
///
/// ```yaml
#[doc = include_str!("compose.yaml")]
/// ```
///
/// `collector.yaml`: OTLP by gRPC and HTTP, memory in bounds, to Jaeger and to Zipkin. Each exporter of it can go without
/// the other.
///
/// ```yaml
#[doc = include_str!("collector.yaml")]
/// ```
///
/// # Through a gateway of your own
///
/// Tools that the Collector does not know send through a server that knows them: see the crate `towline-forwarder`.
pub mod collecting {}
