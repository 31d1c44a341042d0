//! OTLP/gRPC, as a service over `http::Request`.
//!
//! By hand, and not on tonic's server codec: it reads a message before anybody is asked whether its
//! sender may send one, and answers OUT_OF_RANGE when it is too large, which OTLP's clients take for
//! an invitation to send it again.

mod deadline;
mod frame;
mod respond;
mod service;

pub use self::service::GrpcReceiver;

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const EXPORT_SPAN: &str = "/proto.AuthService/ExportSpan";
