//! Longer texts, for those who run services.
//!
//! - [`configuration`]: every setting, in a file, in the environment and in code.
//! - [`operating`]: each failure with its symptom, line in the log, counter and remedy; how to switch off; what to watch.
//! - [`collecting`]: the OpenTelemetry Collector, with Jaeger or Zipkin behind it.
//! - [`teleport`]: beside Teleport, Kubernetes, etcd and CRI-O: what is the same, and what is not.

#[doc = include_str!("../docs/configuration.md")]
pub mod configuration {}

#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[doc = include_str!("../docs/collecting.md")]
///
/// `compose.yaml`:
///
/// ```yaml
#[doc = include_str!("../docs/compose.yaml")]
/// ```
///
/// `collector.yaml`: OTLP by gRPC and HTTP, memory in bounds, to Jaeger and to Zipkin. Each exporter of it can go without
/// the other.
///
/// ```yaml
#[doc = include_str!("../docs/collector.yaml")]
/// ```
///
/// # Through a gateway of your own
///
/// Tools that the Collector does not know send through a server that knows them: see the crate `towline-forwarder`.
pub mod collecting {}

#[doc = include_str!("../docs/teleport.md")]
pub mod teleport {}
