//! Client spans: one for each call, from its head to its last trailer.
//!
//! What [`TraceLayer`] does to a call, in order:
//!
//! 1. It starts a span of kind *client* under the context that is current in `call`.
//! 2. It writes the span's context into the metadata, in place of whatever was there.
//! 3. It calls the inner service with the span's context current, and keeps it current in every poll
//!    of the future and of the response body.
//! 4. It ends the span, once, with the call's final status; see
//!    [the table](super::server#where-the-status-comes-from).
//!
//! The span is the logical call: whatever retries happen inside the service belong to it. The
//! conventions have no number for an attempt; what a client with gRPC's own retries says about it, the
//! metadata `grpc-previous-rpc-attempts`, can be [listed](TraceLayer::with_request_metadata).
//!
//! # Examples
//!
//! With the defaults, around a call that fails behind its messages:
//!
//! ```
//! use http::{HeaderMap, Request, Response};
//! use http_body_util::{BodyExt, Empty};
//! use opentelemetry::trace::{Status, TracerProvider};
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{Service, ServiceBuilder, service_fn};
//! use towline_grpc::client::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//!
//! // With tonic: GreeterClient::new(ServiceBuilder::new().layer(layer).service(channel))
//! let mut channel = ServiceBuilder::new()
//!     .layer(TraceLayer::new(provider.tracer("greeter")))
//!     .service(service_fn(|call: Request<()>| async move {
//!         assert!(call.headers().contains_key("traceparent"));
//!         let trailers = HeaderMap::from_iter([
//!             ("grpc-status".parse()?, "14".parse()?),
//!             ("grpc-message".parse()?, "try%20later".parse()?),
//!         ]);
//!         let body = Empty::<&[u8]>::new().with_trailers(async { Some(Ok(trailers)) });
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Response::new(body))
//!     }));
//! let response = channel.call(Request::post("/hello.Greeter/SayHello").body(())?).await.unwrap();
//! response.into_body().collect().await?;
//!
//! let spans = exporter.get_finished_spans()?;
//! assert_eq!(spans[0].status, Status::error("try later"));
//! # Ok(())
//! # }
//! ```
//!
//! With the address that tonic does not hand to layers:
//!
//! ```
//! # use opentelemetry::trace::TracerProvider;
//! # use opentelemetry_sdk::trace::SdkTracerProvider;
//! use towline_grpc::client::TraceLayer;
//!
//! # let provider = SdkTracerProvider::builder().build();
//! let layer = TraceLayer::new(provider.tracer("greeter")).with_server("greeter.example", 50051);
//! assert!(format!("{layer:?}").contains("greeter.example"));
//! ```
//!
//! # What is recorded
//!
//! The name is the method, `hello.Greeter/SayHello`. The attributes are those of the RPC semantic
//! conventions, by default as of 1.44.0; see [`Conventions`](crate::Conventions):
//!
//! | attribute | from |
//! |---|---|
//! | `rpc.system.name` | `grpc` |
//! | `rpc.method` | the extension that tonic's generated clients leave (feature `tonic`), else the path; `_OTHER` if it is not [listed](TraceLayer::with_methods), or if nobody has named it and it was answered UNIMPLEMENTED |
//! | `rpc.method_original` | the path, if it is `_OTHER` |
//! | `rpc.response.status_code` | the call's status: `OK`, `NOT_FOUND`, … |
//! | `server.address`, `server.port` | [`with_server`](TraceLayer::with_server), else the target |
//! | `network.peer.address`, `network.peer.port` | [`PeerAddr`](towline_http::PeerAddr) or hyper-util's `HttpInfo` in the extensions of the response; tonic's channel tells neither |
//! | `rpc.request.metadata.<key>`, `rpc.response.metadata.<key>` | the metadata that is [listed](TraceLayer::with_request_metadata) |
//! | `error.type` | the status code, unless it is OK; `panic` |
//! | `towline.outcome` | how the span ended, unless it plainly completed |
//!
//! The status is an error for every code but OK, unless it is [classified](TraceLayer::with_classify)
//! otherwise.
//!
//! # Where it says something else than tonic
//!
//! The status is the one that gRPC defines for what has happened. In three cases tonic's client gives
//! its caller another:
//!
//! | what has happened | the span | tonic's `Status` |
//! |---|---|---|
//! | tonic's own timeout, by `Endpoint::timeout` or `grpc-timeout` (feature `tonic`) | DEADLINE_EXCEEDED | CANCELLED "Timeout expired" |
//! | the connection was lost during the call | UNAVAILABLE | UNKNOWN |
//! | the connection was lost before the call was sent, or by `GOAWAY` | UNAVAILABLE | CANCELLED, or as for a reset |
//!
//! A call that is dropped after its `grpc-timeout` has passed is DEADLINE_EXCEEDED, otherwise it is
//! CANCELLED. hyper takes a reset with NO_ERROR in the middle of a body for its end: that is UNKNOWN, as
//! there is no status then.

mod layer;

pub use self::layer::TraceLayer;
pub use crate::record::Recorder;

/// The service of [`TraceLayer`].
pub type Trace<S, T> = towline_http::Trace<S, TraceLayer<T>>;
