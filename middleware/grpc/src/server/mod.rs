//! Server spans: one for each call, from its head to its last trailer.
//!
//! What [`TraceLayer`] does to a call, in order:
//!
//! 1. It reads the caller's trace context from the metadata. What is malformed counts as absent.
//! 2. It starts a span of kind *server* under that context, or under the one that is current, or as
//!    a root. If nobody will keep the span only its context is made.
//! 3. It calls the inner service with the span's context current, and keeps it current in every poll
//!    of the future and of the response body, which is where a stream is made.
//! 4. It ends the span, once, with the call's final status, wherever gRPC has put it.
//!
//! Messages are not decoded; metadata, trailers, frames and flow control pass through untouched.
//!
//! # Examples
//!
//! With the defaults, around a call that is answered with trailers only:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use towline_grpc::server::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//!
//! // With tonic: Server::builder().layer(TraceLayer::new(tracer)).add_service(greeter)
//! let service = ServiceBuilder::new()
//!     .layer(TraceLayer::new(provider.tracer("greeter")))
//!     .service(service_fn(|_call: Request<()>| async {
//!         let response = Response::builder().header("grpc-status", "5").body(Empty::<&[u8]>::new());
//!         Ok::<_, std::convert::Infallible>(response.unwrap())
//!     }));
//! service.oneshot(Request::post("/hello.Greeter/SayHello").body(())?).await?;
//!
//! let spans = exporter.get_finished_spans()?;
//! assert_eq!(spans[0].name, "hello.Greeter/SayHello");
//! let code = spans[0].attributes.iter().find(|kv| kv.key.as_str() == "rpc.response.status_code");
//! assert_eq!(code.unwrap().value.as_str(), "NOT_FOUND");
//! # Ok(())
//! # }
//! ```
//!
//! With a list of the methods that are served, the older names as well, and one line of metadata:
//!
//! ```
//! # use http::{Request, Response};
//! # use http_body_util::Empty;
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use http::HeaderName;
//! use towline_grpc::Conventions;
//! use towline_grpc::server::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let layer = TraceLayer::new(provider.tracer("greeter"))
//!     .with_methods(["hello.Greeter/SayHello"])
//!     .with_conventions(Conventions::Both)
//!     .with_request_metadata([HeaderName::from_static("x-tenant")]);
//! # let service = ServiceBuilder::new().layer(layer).service(service_fn(|_call: Request<()>| async {
//! #     let response = Response::builder().header("grpc-status", "12").body(Empty::<&[u8]>::new());
//! #     Ok::<_, std::convert::Infallible>(response.unwrap())
//! # }));
//! service.oneshot(Request::post("/made.Up/Method").body(())?).await?;
//!
//! // Whoever calls what is not served does not get to name spans.
//! assert_eq!(exporter.get_finished_spans()?[0].name, "grpc");
//! # Ok(())
//! # }
//! ```
//!
//! # What is recorded
//!
//! The name is the method, `hello.Greeter/SayHello`, or `grpc` where the method is not one that is
//! served. The attributes are those of the RPC semantic conventions, by default as of 1.44.0; see
//! [`Conventions`](crate::Conventions):
//!
//! | attribute | from |
//! |---|---|
//! | `rpc.system.name` | `grpc` |
//! | `rpc.method` | the path; `_OTHER` if it is not [listed](TraceLayer::with_methods) or was answered UNIMPLEMENTED |
//! | `rpc.method_original` | the path, if it is `_OTHER` |
//! | `rpc.response.status_code` | the call's status: `OK`, `NOT_FOUND`, … |
//! | `server.address`, `server.port` | `:authority` |
//! | `network.peer.address`, `network.peer.port` | [`PeerAddr`](towline_http::PeerAddr), tonic's connection, or [`with_peer`](TraceLayer::with_peer) |
//! | `rpc.request.metadata.<key>`, `rpc.response.metadata.<key>` | the metadata that is [listed](TraceLayer::with_request_metadata) |
//! | `error.type` | the status code, if it is an error; `panic` |
//! | `towline.outcome` | how the span ended, unless it plainly completed |
//!
//! The status is an error, with the message for its description, for UNKNOWN, DEADLINE_EXCEEDED,
//! UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS. The other codes blame the caller.
//! [`with_classify`](TraceLayer::with_classify) has the last word. The client's address is not among
//! the attributes of a call, so no forwarded header is read.
//!
//! # Where the status comes from
//!
//! | the call | status |
//! |---|---|
//! | `grpc-status` in the head (trailers-only) | that; after OK the body is still followed to its end |
//! | `grpc-status` in the trailers | that |
//! | neither | by the [HTTP status](https://github.com/grpc/grpc/blob/v1.76.0/doc/http-grpc-status-mapping.md); UNKNOWN for 200 |
//! | the service, or the body, fails | by the error: tonic's status, a timeout, an [HTTP/2 reset](https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#errors), a lost connection |
//! | dropped, and `grpc-timeout` or [the server's own limit](TraceLayer::with_timeout) has passed | DEADLINE_EXCEEDED |
//! | dropped otherwise | CANCELLED |
//!
//! What is not the number of a code is UNKNOWN. `grpc-status-details-bin` is not read, and nothing else
//! either beyond what is kept, whatever a peer sends.
//!
//! tonic's server enforces timeouts outside of a user's layers, by dropping the call: its own
//! `Server::timeout` can only be known here if it is named. The caller is told CANCELLED then.
//!
//! # Deployment
//!
//! - Every request is taken for gRPC. On a port that carries other HTTP too, use
//!   [`ByContentType`](crate::ByContentType).
//! - Callers choose the path. As long as what is not served is answered UNIMPLEMENTED they cannot name
//!   spans; where something else answers first, a check of credentials or a proxy, they can, unless the
//!   methods are [listed](TraceLayer::with_methods).
//! - Callers choose the trace context too: [`with_trust_by`](TraceLayer::with_trust_by) says whose is
//!   believed. [`with_filters`](TraceLayer::with_filters) is for health checks.
//! - [`with_grpc_trace_bin`](TraceLayer::with_grpc_trace_bin) is for callers that have nothing but
//!   OpenCensus.

mod layer;
mod received;

pub use self::layer::TraceLayer;
pub use crate::record::Recorder;

/// The service of [`TraceLayer`].
pub type Trace<S, T> = towline_http::Trace<S, TraceLayer<T>>;
