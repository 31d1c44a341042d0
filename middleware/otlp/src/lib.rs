//! An OpenTelemetry span exporter as a tower service: spans to encoded OTLP batches, batches to
//! gRPC, HTTP or files.
//!
//! [`Exporter::builder`] makes two things: a [`Processor`] for the SDK's tracer provider, and an
//! [`Exporter`], the handle that counts, flushes and shuts down. [`Exporter::recorder`] is a second
//! way in, for the spans of Towline's own layers: past the SDK, encoded as they are told.
//!
//! # Examples
//!
//! Into files, as OTLP JSON lines (with the feature `file`):
//!
//! ```
//! # #[cfg(feature = "file")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use opentelemetry::trace::{Tracer, TracerProvider};
//! use opentelemetry_sdk::Resource;
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use towline_otlp::Exporter;
//!
//! let directory = tempfile::tempdir()?;
//! let url = format!("file://{}?limit=1000000", directory.path().display());
//! // Or `grpc://collector:4317`, or `http://collector:4318`.
//! let (processor, exporter) = Exporter::builder().url(url).build()?;
//! let provider = SdkTracerProvider::builder()
//!     .with_resource(Resource::builder().with_service_name("users").build())
//!     .with_span_processor(processor)
//!     .build();
//!
//! provider.tracer("example").in_span("work", |_| {});
//!
//! // Delivers what has ended; says what was lost, if anything was.
//! let summary = exporter.blocking_shutdown(Duration::from_secs(5))?;
//! assert_eq!((summary.stats.ended, summary.stats.exported), (1, 1));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "file"))]
//! # fn main() {}
//! ```
//!
//! Through a service of your own, with layers around it:
//!
//! ```
//! use std::time::Duration;
//!
//! use opentelemetry::trace::{Tracer, TracerProvider};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use tower::{ServiceBuilder, service_fn};
//! use towline_otlp::{Batch, ExportError, Exporter, Receipt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = ServiceBuilder::new().concurrency_limit(1).service(service_fn(
//!     |batch: Batch| async move {
//!         // An encoded `ExportTraceServiceRequest`: send it wherever you like.
//!         assert_eq!((batch.spans(), batch.bytes().first()), (1, Some(&0x0a)));
//!         Ok::<_, ExportError>(Receipt::accepted())
//!     },
//! ));
//! let (processor, exporter) = Exporter::builder().transport(transport).build()?;
//! let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
//! provider.tracer("example").in_span("work", |_| {});
//! exporter.blocking_flush(Duration::from_secs(5))?;
//! assert_eq!(exporter.stats().exported, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # From a span to the backend
//!
//! 1. A span **ends**: if it is sampled it is encoded there and then, in memory that its thread
//!    keeps for that, and appended to the buffer under a short lock. Nothing is allocated, and
//!    nothing is left for another thread to free. A full buffer refuses before it encodes.
//! 2. It **waits**, at most [`flush_interval`](ExporterBuilder::flush_interval), or until
//!    half of [`batch_bytes`](ExporterBuilder::batch_bytes) have come together.
//! 3. The **export thread** forms a [`Batch`] and sends it through the transport, with a time for
//!    each attempt and retries by OTLP's rules ([`policy`]). The thread has a Tokio runtime of its
//!    own, so that it works under any other and under none, and sees none of its own telemetry.
//! 4. The answer **settles** the spans: exported, or dropped for one of the reasons in [`Dropped`].
//!
//! # When things go wrong
//!
//! | what | what happens |
//! |---|---|
//! | no backend, as on a developer's machine | one INFO; spans are kept up to the limit, newer ones dropped; shutdown does not wait |
//! | a backend is lost, hangs, resets or throttles | one WARN with the cause, one INFO when it is back; retries with backoff, reconnects |
//! | a backend refuses, or answers nonsense | one WARN; the spans are counted as refused or failed, retried only where OTLP says so; from the second batch on it is left alone for a while |
//! | a batch is larger than the backend takes | it is sent in pieces, and the next ones are cut at once; a span that is too large alone is dropped, with one WARN |
//! | the buffer is full | a span is dropped and counted, for less than a recorded span costs |
//! | a span is larger than a batch | it is sent alone; one that is larger than half the buffer is dropped |
//! | a server that spans are forwarded through is too old | with [`policy::Unimplemented`] it is asked once: one INFO; the spans are counted as refused |
//! | a transport panics | its batch is lost; the thread goes on |
//! | shutdown with the backend away | it ends by its deadline, and says how many spans were lost |
//!
//! # Features
//!
//! None is on by default; `full` is all of them. A transport that is not compiled in is an error of
//! [`build`](ExporterBuilder::build) that names the feature, never another transport.
//!
//! | feature | adds | brings |
//! |---|---|---|
//! | `grpc` | `Grpc`: OTLP/gRPC | tonic (codec only), hyper |
//! | `http` | `Http`: OTLP/HTTP, binary protobuf | hyper |
//! | `console` | `Console`: lines of text, for development | opentelemetry-proto, prost, humantime |
//! | `file` | `File`: OTLP JSON lines, protobuf or Teleport's lines in rotating files | opentelemetry-proto, prost, serde_json |
//! | `metrics` | `Exporter::observe_with`: the counts as OpenTelemetry metrics | the API's metrics |
//! | `tls` | `Tls`: `https://`, `grpcs://`, certificates of your own | rustls with *ring*, rustls-native-certs, der |
//! | `gzip` | [`Compression::Gzip`] | flate2 in Rust |
//! | `zstd` | [`Compression::Zstd`] | the zstd library |
//!
//! The same goes for TLS and compression: what is not compiled in is an error of `build`, and
//! nothing is ever sent in plaintext in place of TLS. How clients connect and what they send along
//! is said by [`ClientOptions`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod buffer;
mod client_options;
mod encode;
mod endpoint;
mod error;
mod exporter;
pub mod policy;
mod printable;
mod receipt;
mod record;
mod transport;
#[doc(hidden)]
pub mod wire;

pub use self::batch::{Batch, MalformedBatch};
pub use self::client_options::{ClientOptions, Compression, ParseCompressionError};
pub use self::endpoint::{Endpoint, EndpointError, EndpointErrorKind, FileFormat, Scheme};
pub use self::error::{ExportError, ExportErrorKind, PeerStatus};
pub use self::exporter::{
    BuildError, BuildErrorKind, Dropped, Exporter, ExporterBuilder, ExporterFuture,
    ExporterService, FlushError, FlushErrorKind, Forwarded, LateError, LateErrorKind, LatePart,
    Processor, ShutdownError, ShutdownErrorKind, Stats, Summary,
};
pub use self::receipt::Receipt;
pub use self::record::{RecordedSpan, SpanRecorder};
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use self::transport::Tls;
pub use self::transport::{
    BoxTransport, BoxTransportFuture, Discard, TransportError, TransportErrorKind, reach,
};
#[cfg(feature = "console")]
#[cfg_attr(docsrs, doc(cfg(feature = "console")))]
pub use self::transport::{Console, ConsoleFuture};
#[cfg(feature = "file")]
#[cfg_attr(docsrs, doc(cfg(feature = "file")))]
pub use self::transport::{File, FileBuilder, FileFuture};
#[cfg(feature = "grpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "grpc")))]
pub use self::transport::{Grpc, GrpcClient, GrpcFuture};
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use self::transport::{Http, HttpClient, HttpFuture};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
