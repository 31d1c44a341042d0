//! Receives the spans of others over OTLP, makes sure of who sent them, and sends them on.
//!
//! Tools and services often cannot reach the collector, or may not: it would have to know them all.
//! A server that they are authenticated with anyway takes their spans and forwards them. Whatever a
//! client writes into its spans, those who read them later can tell who sent them.
//!
//! - [`Forwarder`]: OTLP over gRPC and HTTP, as tower services beside your own.
//! - [`authorize`]: who may send spans. [`limits`]: what that may cost.
//! - [`stamp`]: the sender's identity on every span, and nothing that the sender wrote in its place.
//! - [`coalesce`]: many small batches as one.
//!
//! # Examples
//!
//! In an axum app, whose own layers authenticate:
//!
//! ```
//! use axum::Router;
//! use axum::middleware::{Next, from_fn};
//! use towline_forwarder::{AnyAuthenticated, Forwarder, Identity};
//! use towline_otlp::Exporter;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The exporter of this process, which knows the backend.
//! # let url = "http://localhost:4318";
//! let (_processor, exporter) = Exporter::builder().url(url).build()?;
//!
//! let forwarder = Forwarder::builder()
//!     .exporter(exporter.service())
//!     .authorize(AnyAuthenticated)
//!     .build();
//!
//! let app: Router = Router::new()
//!     .route_service("/v1/traces", forwarder.http())
//!     .layer(from_fn(async |mut request: axum::extract::Request, next: Next| {
//!         // Your authentication, which says who it is.
//!         let who = Identity::new("alice").expect("a name that can be shown");
//!         request.extensions_mut().insert(who);
//!         next.run(request).await
//!     }));
//! // axum::serve(listener, app).await?;
//! # let request = http::Request::post("/v1/traces").header("content-type", "application/json");
//! # let request = request.body(axum::body::Body::from("{}"))?;
//! # let response = tower::ServiceExt::oneshot(app, request).await?;
//! # assert_eq!(response.status(), 200);
//!
//! assert_eq!(forwarder.stats().requests.received, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Beside the services of a tonic server, with the feature `tonic`:
//!
//! ```
//! # #[cfg(feature = "tonic")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tonic::transport::Server;
//! use towline_forwarder::{BearerTokens, Forwarder, Identity};
//!
//! let tokens = BearerTokens::new().token("c0ffee", Identity::new("build-agent")?);
//! let forwarder = Forwarder::builder().authorize(tokens).build();
//! let server = Server::builder().add_service(forwarder.grpc());
//! // server.serve("[::1]:4317".parse()?).await?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tonic"))]
//! # fn main() {}
//! ```
//!
//! RFD 65's `ExportSpan` is a method of a service that is the server's own. A route to it goes before
//! that service:
//!
//! ```
//! # #[cfg(feature = "tonic")]
//! # fn main() {
//! use tonic::service::Routes;
//! use towline_forwarder::Forwarder;
//!
//! let forwarder = Forwarder::builder().build();
//! // Routes::new(auth_service)
//! let routes = Routes::new(forwarder.grpc());
//! let app = routes
//!     .into_axum_router()
//!     .route_service("/proto.AuthService/ExportSpan", forwarder.grpc());
//! // tonic::transport::Server::builder().add_routes(app.into())
//! # let _: Routes = app.into();
//! # }
//! # #[cfg(not(feature = "tonic"))]
//! # fn main() {}
//! ```
//!
//! # What happens to a request
//!
//! 1. Its **head** is looked at: method, content type, compression.
//! 2. [`Authorize`] says **who** sent it, from the head alone. Whoever may not is told so, and nothing
//!    of the body is read; the log has one WARN for each sender and minute.
//! 3. There must be **room**: for one more request, and of the sender's spans per second. One sender
//!    never has all of it.
//! 4. The **body** is read, decompressed and, from JSON, written as protobuf, each step within the
//!    limits.
//! 5. It is **stamped**.
//! 6. The **exporter** gets it. Its answer is the answer: what is acknowledged has been delivered.
//!    When the caller waits no more, the exporter stops trying.
//!
//! # Answers
//!
//! Codes are chosen by what OTLP's clients do after them: send the spans again, or give them up and
//! count them. Errors have a `google.rpc.Status` in the encoding of the request, and, where coming back
//! helps, `RetryInfo` or `Retry-After` if it is known when.
//!
//! | what | gRPC | HTTP | sent again |
//! |---|---|---|---|
//! | delivered; or without spans; or there is no exporter | OK | 200 | |
//! | the backend took some of the spans | OK with `partial_success` | 200 with it | no |
//! | nobody knows who sent it | UNAUTHENTICATED | 401 | no |
//! | the sender may not | PERMISSION_DENIED | 403 | no |
//! | another HTTP method | HTTP's 405 | 405 | no |
//! | another content type | HTTP's 415 | 415 | no |
//! | another compression | UNIMPLEMENTED | 415 | no |
//! | another gRPC method; no message, or two | UNIMPLEMENTED | | no |
//! | broken frames, broken compression | INTERNAL | 400 | no |
//! | not an OTLP trace request, or one that decoders read differently | INVALID_ARGUMENT | 400 | no |
//! | too many bytes or spans | RESOURCE_EXHAUSTED | 413 | no |
//! | too many spans per second | RESOURCE_EXHAUSTED with `RetryInfo` | 429 | yes |
//! | too many requests, too many bytes at a time | UNAVAILABLE with `RetryInfo` | 503 | yes |
//! | the body stands still; not delivered in time | DEADLINE_EXCEEDED | 504 | yes |
//! | the backend is away, busy, or shuts down | UNAVAILABLE | 503 | yes |
//! | the backend refuses the spans as invalid | INVALID_ARGUMENT | 400 | no |
//! | the backend does not take a batch of that size | RESOURCE_EXHAUSTED | 413 | no |
//! | the backend refuses for another reason, such as *our* credentials | INTERNAL | 500 | no |
//!
//! What is behind the forwarder is not told: neither where the backend is, nor what it said to us. The
//! one exception is `partial_success`, whose words OTLP has for the sender of the spans.
//!
//! # Features
//!
//! None is on by default; `full` is all of them.
//!
//! | feature | adds | brings |
//! |---|---|---|
//! | `certificates` | `ClientCertificate`: senders by the names in their certificates | x509-cert |
//! | `tonic` | `GrpcReceiver` goes into tonic's `add_service` | tonic (a trait) |
//! | `zstd` | requests that are compressed with zstd | the zstd library |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod authorize;
mod body;
mod builder;
pub mod coalesce;
mod failure;
mod forwarder;
mod future;
pub mod grpc;
pub mod http;
mod identity;
mod intake;
mod json;
pub mod limits;
mod notices;
mod receive;
pub mod stamp;
mod stats;
mod status;

pub use self::authorize::{
    AnyAuthenticated, AnyRole, Authorize, BearerTokens, Refusal, RefusalKind,
};
#[cfg(feature = "certificates")]
#[cfg_attr(docsrs, doc(cfg(feature = "certificates")))]
pub use self::authorize::{CertificateName, ClientCertificate, PeerCertificate};
pub use self::body::ResponseBody;
pub use self::builder::{ForwarderBuilder, OnRefusal};
pub use self::coalesce::{Coalesce, CoalesceFuture, CoalesceLayer};
pub use self::forwarder::Forwarder;
pub use self::future::ResponseFuture;
pub use self::grpc::GrpcReceiver;
pub use self::http::HttpReceiver;
pub use self::identity::{Identity, IdentityError, IdentityErrorKind};
pub use self::limits::Limits;
pub use self::stamp::{Place, Stamp, StampError, StampErrorKind};
pub use self::stats::{Refused, RequestStats, SpanStats, Stats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
