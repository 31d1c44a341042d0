//! Distributed tracing for any tower stack: configuration, layers, exporter and shutdown in one handle.
//!
//! [`Towline`] is that handle. It is made from a file, from the environment or in code; it hands out the layers that put
//! spans around HTTP servers, HTTP clients and services of any other kind; it exports their spans to an OpenTelemetry
//! collector or to files; it switches them while they serve; and at the end it brings the last spans home and says what
//! became of each.
//!
//! # Examples
//!
//! A server and a client, with every trace recorded into files:
//!
#![cfg_attr(all(feature = "axum", feature = "file", feature = "yaml"), doc = "```")]
#![cfg_attr(
    not(all(feature = "axum", feature = "file", feature = "yaml")),
    doc = "```ignore"
)]
//! use std::time::Duration;
//!
//! use axum::{Router, extract::Path, routing::get};
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::{BodyExt, Empty};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tokio::{net::TcpListener, sync::oneshot};
//! use tower::{ServiceBuilder, ServiceExt};
//! use towline::{Config, Towline};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! // In real life this stands in a file: Towline::from_file("app.yaml")
//! let config = Config::from_yaml(&format!("
//! tracing_service:
//!   enabled: yes
//!   exporter_url: file://{}
//!   sampling_rate_per_million: 1000000
//!   service_name: users
//! ", directory.path().display()))?;
//! let tracing = Towline::from_config(config)?;
//!
//! let app = Router::new()
//!     .route("/users/{id}", get(|Path(id): Path<u32>| async move { format!("user {id}") }))
//!     .layer(tracing.http_server());
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let (stop, stopped) = oneshot::channel::<()>();
//! let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
//! let server = tokio::spawn(server.into_future());
//!
//! let client = ServiceBuilder::new()
//!     .layer(tracing.http_client())
//!     .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
//! let request = Request::get(format!("http://{address}/users/42")).body(Empty::new())?;
//! let response = client.oneshot(request).await?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "user 42");
//!
//! drop(stop);
//! server.await??;
//! let stats = tracing.shutdown(Duration::from_secs(5)).await?;
//! assert_eq!((stats.ended, stats.exported), (2, 2));
//!
//! let file = std::fs::read_dir(directory.path())?.next().ok_or("no file")??;
//! let spans = std::fs::read_to_string(file.path())?;
//! assert!(spans.contains(r#""name":"GET /users/{id}""#));
//! # Ok(())
//! # }
//! ```
//!
//! A command-line program is traced when its user types `--trace`: see `TraceArgs`, with the feature `clap`.
//!
//! # Settings
//!
//! What is said in code wins over the file, that over the environment, that over the default. [Every setting] is on a page
//! of its own, with its key in a file, its variables, its unit, its default and where it comes from; these are the ones
//! that most need:
//!
//! | setting | unit | in a file | in code | in the environment | default |
//! |---|---|---|---|---|---|
//! | recording at all | yes or no | `enabled` | [`with_enabled`](TowlineBuilder::with_enabled) | `OTEL_SDK_DISABLED` | whether code or the environment names an exporter |
//! | where spans go | [URL](Endpoint) | `exporter_url` | [`with_exporter_url`](TowlineBuilder::with_exporter_url), [`with_transport`](TowlineBuilder::with_transport), [`with_late_transport`](TowlineBuilder::with_late_transport) | `OTEL_EXPORTER_OTLP_ENDPOINT` and others | none |
//! | root traces recorded | per million | `sampling_rate_per_million` | [`with_sampling_rate`](TowlineBuilder::with_sampling_rate) | `OTEL_TRACES_SAMPLER` | 0: what a sampled caller asks for |
//! | authorities for TLS | PEM files | `ca_certs` | [`with_ca_certs`](TowlineBuilder::with_ca_certs) | `OTEL_EXPORTER_OTLP_CERTIFICATE` | the system's |
//! | name of the service | text | `service_name` | [`with_service_name`](TowlineBuilder::with_service_name) | `OTEL_SERVICE_NAME` | `unknown_service:<executable>` |
//! | headers of the context | | | [`with_propagators`](TowlineBuilder::with_propagators), [`with_propagator`](TowlineBuilder::with_propagator) | `OTEL_PROPAGATORS` | W3C Trace Context and Baggage |
//!
//! [`Config`] has the file's section, and reads those of Kubernetes, etcd and CRI-O as well. Every mistake in it is told at
//! once, each with the file, the line, the key, the value and what was expected, before anything is started; a
//! [check](TowlineBuilder::check) tells it without starting anything, and can try the collector. A changed file is put in
//! force by [`reload_from_file`](Towline::reload_from_file), as far as that can be done while the program runs.
//!
//! Where Teleport, whose section it is, surprises its users, the documentation is followed and not the code: a scheme of
//! TLS means TLS or an error, never plaintext; a boolean that cannot be read is an error and not "no"; a rate out of range
//! is an error; `host` without a port is gRPC, as `host:4317` is; the path of an `http://` URL is the path of the request.
//! [All of it](guide::teleport) is on another page.
//!
//! [Every setting]: guide::configuration
//!
//! # While it serves
//!
//! [`Towline::control`] has the switch, the rate and the [limit](Control::set_remote_limit) on traces that remote callers
//! ask for; [`Towline::filters`] has the requests that get no span, such as health checks. Both count from the next
//! request on. How far a caller's trace context is believed is up to each server layer:
//! [`with_trust_by`](http::server::TraceLayer::with_trust_by).
//!
//! # Environment
//!
//! These variables of the OpenTelemetry specification are read. An empty one counts as unset; one that makes no sense is
//! told by one WARN and ignored, except for an endpoint, which is an error.
//!
//! | variable | meaning |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `true` switches everything off, whatever file and code say |
//! | `OTEL_TRACES_EXPORTER` | `otlp` exports, to this machine if no endpoint is named; `console` prints; `none` leaves the endpoints below out |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | where spans go: a URL, its path used as it is (without one: `/v1/traces`) |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | the same for all signals: `v1/traces` is appended to an `http` or `https` URL |
//! | `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc` or `http/protobuf`: what an `http` or `https` URL means; default `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | `false` makes an endpoint without a scheme TLS |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `name=value,…`, percent-encoded: sent with every batch to a collector; never shown |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip`, `zstd` or `none`; each behind the feature of its name |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds of one attempt; 0 is no limit: [`attempt_timeout`](otlp::ExporterBuilder::attempt_timeout) |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | a PEM file of authorities, for `https` and `grpcs` |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY` | PEM files, both or none, for `https` and `grpcs` |
//! | `OTEL_BSP_SCHEDULE_DELAY` | milliseconds: [`flush_interval`](otlp::ExporterBuilder::flush_interval) |
//! | `OTEL_BSP_EXPORT_TIMEOUT` | milliseconds in which the last attempt of a batch may begin: [`Backoff::max_elapsed`](otlp::policy::Backoff::max_elapsed) |
//! | `OTEL_BSP_MAX_QUEUE_SIZE` | spans: [`buffer_spans`](otlp::ExporterBuilder::buffer_spans), beside the limit in bytes |
//! | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | spans: [`batch_spans`](otlp::ExporterBuilder::batch_spans), beside the limit in bytes |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `always_on`, `always_off`, `traceidratio`, or one of them after `parentbased_`; the ratio to the millionth |
//! | `OTEL_PROPAGATORS` | the [headers](PropagatorKind) that carry the context, also where tracing is off: `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger` between commas, or `none`; default `tracecontext,baggage` |
//! | `OTEL_SERVICE_NAME` | the name of the service; wins over `service.name` in the next one |
//! | `OTEL_RESOURCE_ATTRIBUTES` | `key=value,…`, percent-encoded; all discarded if one cannot be read |
//! | `OTEL_BSP_MAX_CONCURRENT_EXPORTS` | batches: [`concurrency`](otlp::ExporterBuilder::concurrency) |
//! | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` | characters of a text in an attribute: a longer one is cut before it is exported |
//! | `OTEL_ATTRIBUTE_COUNT_LIMIT`, `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT` | attributes of a span, an event, a link; the first where the others say nothing |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT` | events and links of a span |
//!
//! Of each `OTEL_EXPORTER_OTLP_…` variable there is one for traces alone, `OTEL_EXPORTER_OTLP_TRACES_…`, which comes first.
//! They also fill what a file leaves out. What they say of a connection is passed over where there is none, as with files.
//!
//! Two defaults are not the specification's: without a variable only what a sampled caller asks for is recorded, and an
//! endpoint without a scheme is plaintext. `OTEL_CONFIG_FILE` is not read; one that is set is told by a WARN.
//!
//! # Resource
//!
//! The spans say that they come from `service.name`, `host.name`, `process.pid`, `process.executable.name`,
//! `telemetry.sdk.{name,language,version}` and `telemetry.distro.{name,version}`. Command line, paths and user are left
//! out, since they may hold secrets or name people.
//!
//! # Guides
//!
//! What can go wrong and what to do is in [`guide::operating`], how to collect and look at traces in [`guide::collecting`].
//!
//! # Log
//!
//! Through `tracing`, and never per request: one INFO when tracing starts that says what is on, one for each change while
//! it serves, one WARN for a layer whose tracer has nothing behind it, and what the [exporter](otlp) has to say about a
//! backend that is away or back. Off says nothing, but for an `OTEL_PROPAGATORS` that makes no sense, since that counts
//! then as well.
//!
//! # Features
//!
//! What is compiled in never decides what is done: an exporter URL whose transport is not there is an error that names
//! the feature.
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | the route and the peer's address, where axum has left them in a request, to [`http_server`](Towline::http_server); `http::axum` |
//! | `b3` | no | the propagators `b3` and `b3multi`, which cannot be named without it |
//! | `clap` | no | `TraceArgs`: `--trace` and `--trace-exporter` for command-line programs |
//! | `console` | no | export to `console:`: lines of text, for development |
//! | `file` | yes | export to `file://` |
//! | `forwarder` | no | `Towline::forwarder`, which takes the spans of others and sends them on; the module `forwarder` |
//! | `grpc` | yes | export to `grpc://` |
//! | `grpc-layers` | no | the layers for gRPC and tonic: `Towline::grpc_server`, `grpc_client`, `grpc_interceptor`; `server` and `client` for a port that carries both; the module `grpc` |
//! | `gzip` | yes | compression with gzip |
//! | `http` | yes | export to `http://` |
//! | `hyper-util` | yes | the address of the peer of a hyper-util client to [`http_client`](Towline::http_client); `http::hyper_util` |
//! | `metrics` | no | the exporter's counts as OpenTelemetry metrics: `otlp::Exporter::observe_with` |
//! | `tls` | yes | export to `https://` and `grpcs://`, certificates; brings rustls with ring, which needs a C compiler |
//! | `zstd` | no | compression with zstd |
//! | `yaml` | yes | `Towline::from_file`, `Config::from_file`, `Config::from_yaml` |
//! | `reqwest` | no | `http::client::reqwest` |
//! | `retry` | no | `http::client::retry`: attempts of `tower::retry` that say which they are |
//! | `full` | no | all of them |
//!
//! # The family
//!
//! Each part also stands alone, on any OpenTelemetry tracer: [`http`], [`span`], [`propagation`], [`sampler`], [`otlp`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod config;
mod environment;
mod error;
#[cfg(feature = "forwarder")]
mod forwarding;
#[cfg(feature = "grpc-layers")]
mod grpc_layers;
pub mod guide;
mod handle;
mod layers;
mod live;
mod propagator;
mod resource;
mod scope;
mod start;
#[cfg(feature = "clap")]
mod trace_args;

#[cfg(feature = "forwarder")]
#[cfg_attr(docsrs, doc(cfg(feature = "forwarder")))]
pub use towline_forwarder as forwarder;
#[cfg(feature = "grpc-layers")]
#[cfg_attr(docsrs, doc(cfg(feature = "grpc-layers")))]
pub use towline_grpc as grpc;
pub use towline_http as http;
pub use towline_otlp as otlp;
pub use towline_propagation as propagation;
pub use towline_sampler as sampler;
pub use towline_span as span;

pub use towline_http::{CallerContext, Filter, Filters, SampledFlag, Trust};
pub use towline_otlp::{Endpoint, FlushError, ShutdownError, Stats};
pub use towline_propagation::{ParsePropagatorKindError, Propagator, PropagatorKind};
pub use towline_sampler::{Control, Limit, Limiter, Rate, Sampler};
pub use towline_span::{SpanLayer, Spans};

pub use self::builder::TowlineBuilder;
pub use self::config::{Config, ConfigError, ConfigErrorKind, KeyPair, Problem};
pub use self::environment::Environment;
pub use self::error::{StartError, StartErrorKind};
#[cfg(feature = "grpc-layers")]
#[cfg_attr(docsrs, doc(cfg(feature = "grpc-layers")))]
pub use self::grpc_layers::{ClientLayer, GrpcClientLayer, GrpcServerLayer, ServerLayer};
pub use self::handle::{HttpClientLayer, HttpServerLayer, Towline};
pub use self::scope::SCHEMA_URL;
pub use self::start::{Change, CheckReport, Reload};
#[cfg(feature = "clap")]
#[cfg_attr(docsrs, doc(cfg(feature = "clap")))]
pub use self::trace_args::{TraceArgs, TraceSession, TraceSessionBuilder};

#[cfg(all(doctest, feature = "axum", feature = "yaml"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

#[cfg(all(doctest, feature = "axum", feature = "yaml"))]
#[doc = include_str!("../../../README.md")]
struct ProjectReadmeDoctests;
