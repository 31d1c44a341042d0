//! An OTLP collector on a real socket that answers as it is told, and remembers what it was sent.
//!
//! A [`Collector`] has a thread and a runtime of its own, so that it serves whatever the test does
//! meanwhile, and it is silent: nothing of what it does reaches a `tracing` subscriber of the test.
//! One socket serves OTLP/gRPC and OTLP/HTTP, the latter with protobuf and JSON, over HTTP/1 and
//! HTTP/2, plain or compressed with gzip or zstd, in plaintext, TLS or mutual TLS.
//!
//! # Examples
//!
//! A collector that is busy once, and what a client sends it:
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::client::legacy::Client;
//! use hyper_util::rt::TokioExecutor;
//! use prost::Message;
//! use towline_test_support::collector::{Answer, Collector, Protocol, Refusal};
//! # use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
//! # use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let busy = Answer::status(Refusal::Unavailable).retry_after(Duration::from_secs(1));
//! let collector = Collector::builder().sequence([busy, Answer::ok()]).start();
//!
//! // In place of the exporter under test: one span, posted twice.
//! # let span = Span { span_id: vec![1; 8], trace_id: vec![1; 16], ..Span::default() };
//! # let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
//! # let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
//! let request = ExportTraceServiceRequest { resource_spans };
//! let client = Client::builder(TokioExecutor::new()).build_http();
//! let mut statuses = vec![];
//! for _ in 0..2 {
//!     let request = http::Request::post(collector.http_url() + "/v1/traces")
//!         .header("content-type", "application/x-protobuf")
//!         .body(Full::new(Bytes::from(request.encode_to_vec())))?;
//!     statuses.push(client.request(request).await?.status().as_u16());
//! }
//! assert_eq!(statuses, [503, 200]);
//!
//! collector.wait_for_spans(1, Duration::from_secs(10)).await;
//! assert_eq!(collector.accepted().values().sum::<usize>(), 1);
//! let requests = collector.requests();
//! assert_eq!(requests.len(), 2);
//! assert_eq!(requests[1].protocol(), Protocol::HttpProtobuf);
//! # Ok(())
//! # }
//! ```
//!
//! Answers may depend on the request, and wait for the test:
//!
//! ```
//! use towline_test_support::collector::{Answer, Collector, Refusal};
//! use towline_test_support::{Gate, Mix};
//!
//! // Whoever has no token is refused.
//! let careful = Collector::builder()
//!     .answer(|request| match request.header("authorization") {
//!         Some("Bearer secret") => Answer::ok(),
//!         _ => Answer::status(Refusal::Unauthenticated),
//!     })
//!     .start();
//!
//! // The client has a request under way until the gate opens.
//! let gate = Gate::new();
//! careful.set_always(Answer::gated(&gate, Answer::ok()));
//! gate.open();
//!
//! // Weather; the seed makes it the same again.
//! let random = Collector::builder()
//!     .mix(
//!         Mix::new(7)
//!             .weight(6, Answer::ok())
//!             .weight(2, Answer::status(Refusal::Unavailable))
//!             .weight(1, Answer::reset())
//!             .weight(1, Answer::partial(1, "one too many")),
//!     )
//!     .start();
//! # drop(random);
//! ```
//!
//! A backend that is away and comes back at the same place:
//!
//! ```
//! use towline_test_support::collector::Collector;
//!
//! let collector = Collector::builder().start_stopped().start();
//! let address = collector.address();
//! assert!(std::net::TcpStream::connect(address).is_err());
//! collector.restart();
//! assert!(std::net::TcpStream::connect(address).is_ok());
//! collector.stop();
//! assert!(std::net::TcpStream::connect(address).is_err());
//! ```
//!
//! Mutual TLS, with [certificates](crate::certificates) of the moment:
//!
//! ```
//! use towline_test_support::certificates::TestCa;
//! use towline_test_support::collector::Collector;
//!
//! let ca = TestCa::new();
//! let collector = Collector::builder()
//!     .tls(&ca.server(["localhost", "127.0.0.1"]))
//!     .client_ca(&ca)
//!     .start();
//! assert!(collector.grpc_url().starts_with("grpcs://127.0.0.1:"));
//! ```
//!
//! # What counts as accepted
//!
//! A span is *accepted* at the moment at which the collector decides on an answer that says OK: with
//! a [`Gate`](crate::Gate) or a delay, when that is over. Answers that say something else, or
//! nothing, accept nothing, and a partial success accepts what it does not reject. So for any
//! exporter that does its accounts:
//!
//! - what it counts as exported is in [`Collector::accepted`], or it lied;
//! - what is there and not counted as exported was accepted and the answer lost, which
//!   [`Answer::after_accepting`] makes happen on purpose, and nothing else should;
//! - what is there more than once was sent again after such a loss.
//!
//! [`Collector::stop`] keeps to it: what was accepted is answered first, as long as the client reads
//! it within five seconds, and what was not is never accepted after. A drop does not wait.
//!
//! # What is refused without asking
//!
//! A request that OTLP does not know (another path, method or content type, a body that cannot be
//! decoded or is too large) gets what a collector answers (404, 405, 415, 400, 413, or the gRPC
//! status for it), and is listed by [`Collector::unusable_requests`]; the script is not asked, and
//! [`Collector::requests`] does not have it. A test of an exporter usually asserts that there are
//! none.

mod answer;
mod body;
mod builder;
mod connection;
mod decode;
mod exchange;
mod place;
mod received;
mod record;
mod respond;
mod rpc;
mod server;
mod stream;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::Location;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanId;

pub use self::answer::{Answer, Refusal};
pub use self::builder::{CollectorBuilder, Greeting, Reading};
pub use self::received::{Encoding, Protocol, Received};

use self::builder::Config;
use self::place::Address;
use self::record::Record;
use self::server::Server;
use crate::Mix;
use crate::script::Script;

/// An OTLP collector for tests. See the [module](self).
///
/// Dropped, it closes what is open and ends what hangs.
#[derive(Debug)]
pub struct Collector {
    server: Server,
    shared: Arc<Shared>,
}

/// What the collector and its thread have in common.
#[derive(Debug)]
struct Shared {
    script: Script<Received, Answer>,
    record: Arc<Record>,
    config: Config,
}

// === impl Collector ===

impl Collector {
    /// A collector that takes everything, on a free port of the loopback interface, in plaintext.
    ///
    /// # Panics
    ///
    /// If there is no port, or no thread.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A collector with options.
    pub fn builder() -> CollectorBuilder {
        CollectorBuilder::new()
    }

    #[track_caller]
    fn new(address: &Address, shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let server = Server::start(address.clone(), Arc::clone(&shared));
        Self {
            server: server.unwrap_or_else(|error| panic!("cannot be at {address:?}: {error}")),
            shared,
        }
    }

    /// Where it listens, or will.
    ///
    /// # Panics
    ///
    /// If that is a Unix socket.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match self.server.address() {
            Address::Tcp(address) => *address,
            #[cfg(unix)]
            Address::Unix(path) => panic!("the address is {}", path.display()),
        }
    }

    /// The Unix socket it listens on, if it is one.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(&self) -> Option<&Path> {
        match self.server.address() {
            Address::Tcp(_) => None,
            Address::Unix(path) => Some(path),
        }
    }

    /// `http://ADDRESS`, `https://` with TLS, without a path.
    ///
    /// # Panics
    ///
    /// If it listens on a Unix socket.
    #[must_use]
    #[track_caller]
    pub fn http_url(&self) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// `grpc://ADDRESS`, `grpcs://` with TLS: as Towline's exporter reads it.
    ///
    /// # Panics
    ///
    /// If it listens on a Unix socket.
    #[must_use]
    #[track_caller]
    pub fn grpc_url(&self) -> String {
        let scheme = if self.has_tls() { "grpcs" } else { "grpc" };
        format!("{scheme}://{}", self.address())
    }

    fn has_tls(&self) -> bool {
        self.shared.config.tls.is_some()
    }

    /// From now on each request is answered by this function. Requests that have an answer already
    /// keep it, even if they wait for it.
    pub fn set_answer(&self, answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) {
        self.shared.script.replace(Script::function(answer));
    }

    /// From now on each request is answered in this way.
    pub fn set_always(&self, answer: Answer) {
        self.shared.script.replace(Script::always(answer));
    }

    /// From now on requests are answered with these, and all that follow with the last.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[track_caller]
    pub fn set_sequence(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script.replace(Script::sequence(answers));
    }

    /// From now on each request is answered as drawn at random.
    ///
    /// # Panics
    ///
    /// If nothing can be drawn.
    #[track_caller]
    pub fn set_mix(&self, mix: Mix<Answer>) {
        self.shared.script.replace(Script::mix(mix));
    }

    /// Stops listening and closes every connection; connections are refused from now on. What was
    /// accepted is answered first, for up to five seconds if the client does not read it. What is
    /// recorded stays, and so does the port, which nobody else gets. Blocks until it is done.
    ///
    /// # Panics
    ///
    /// If the port is lost all the same, to somebody who binds it on purpose.
    #[track_caller]
    pub fn stop(&self) {
        self.server
            .stop()
            .unwrap_or_else(|error| panic!("the collector lost its port: {error}"));
    }

    /// [Stops](Self::stop) if it has not, and listens again at the same address.
    ///
    /// # Panics
    ///
    /// If the port is lost, to somebody who binds it on purpose.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        self.listen();
    }

    #[track_caller]
    fn listen(&self) {
        self.server
            .listen()
            .unwrap_or_else(|error| panic!("the collector cannot listen: {error}"));
    }

    /// Every request that came as a whole and could be decoded, whatever was answered, in that
    /// order.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.record.state().requests.clone()
    }

    /// How many those are: [`without_requests`](CollectorBuilder::without_requests) too.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.shared.record.state().received
    }

    /// How many requests there were of which at least the head came.
    #[must_use]
    pub fn started_requests(&self) -> usize {
        self.shared.record.state().started
    }

    /// Requests that were refused without asking the script, each with the reason. See the
    /// [module](self#what-is-refused-without-asking).
    #[must_use]
    pub fn unusable_requests(&self) -> Vec<String> {
        self.shared.record.state().unusable.clone()
    }

    /// The spans that were accepted, and how often each was. See the
    /// [module](self#what-counts-as-accepted). All that have no id of eight bytes are one, under
    /// [`SpanId::INVALID`].
    #[must_use]
    pub fn accepted(&self) -> HashMap<SpanId, usize> {
        self.shared.record.state().accepted.counts().clone()
    }

    /// How many spans were accepted at least once.
    #[must_use]
    pub fn accepted_count(&self) -> usize {
        self.shared.record.state().accepted.counts().len()
    }

    /// The spans that a partial success rejected, and how often each was.
    #[must_use]
    pub fn rejected(&self) -> HashMap<SpanId, usize> {
        self.shared.record.state().rejected.counts().clone()
    }

    /// How many connections were accepted so far, whatever became of them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.record.state().connections
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.record.state().open_connections
    }

    /// Why TLS handshakes failed, in the words of rustls.
    #[must_use]
    pub fn failed_handshakes(&self) -> Vec<String> {
        self.shared.record.state().failed_handshakes.clone()
    }

    /// Waits until `spans` different spans are accepted. `deadline` is real time, whatever the
    /// clock of the caller's runtime is.
    ///
    /// # Panics
    ///
    /// If that takes longer than `deadline`.
    ///
    /// # Cancel safety
    ///
    /// It only looks on.
    #[track_caller]
    pub fn wait_for_spans(
        &self,
        spans: usize,
        deadline: Duration,
    ) -> impl Future<Output = ()> + Send {
        self.wait_until(deadline, move |collector| {
            collector.accepted_count() >= spans
        })
    }

    /// Waits until `requests` requests have come as a whole, whatever was answered. `deadline` is
    /// real time.
    ///
    /// # Panics
    ///
    /// If that takes longer than `deadline`.
    ///
    /// # Cancel safety
    ///
    /// It only looks on.
    #[track_caller]
    pub fn wait_for_requests(
        &self,
        requests: usize,
        deadline: Duration,
    ) -> impl Future<Output = ()> + Send {
        self.wait_until(deadline, move |collector| {
            collector.request_count() >= requests
        })
    }

    /// Waits until this is true of what the collector says of itself, or of how many wait at a
    /// [`Gate`](crate::Gate) of its answers: it is asked whenever one of these may have changed.
    /// `deadline` is real time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use towline_test_support::collector::Collector;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let collector = Collector::start();
    /// let client = std::net::TcpStream::connect(collector.address()).unwrap();
    /// let deadline = Duration::from_secs(10);
    /// collector.wait_until(deadline, |collector| collector.open_connections() == 1).await;
    /// drop(client);
    /// collector.wait_until(deadline, |collector| collector.open_connections() == 0).await;
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If that takes longer than `deadline`.
    ///
    /// # Cancel safety
    ///
    /// It only looks on.
    #[track_caller]
    pub fn wait_until(
        &self,
        deadline: Duration,
        condition: impl Fn(&Self) -> bool + Send,
    ) -> impl Future<Output = ()> + Send {
        let caller = Location::caller();
        async move {
            let mut changes = self.shared.record.subscribe();
            let sleep = async move { tokio::time::sleep(deadline).await };
            let mut too_late = self.server.runtime().spawn(sleep);
            while !condition(self) {
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = &mut too_late => {
                        assert!(condition(self), "{}", self.in_vain(deadline, caller));
                        break;
                    }
                }
            }
            too_late.abort();
        }
    }

    /// [`wait_for_spans`](Self::wait_for_spans), for code that is not async.
    ///
    /// # Panics
    ///
    /// If that takes longer than `deadline`.
    #[track_caller]
    pub fn blocking_wait_for_spans(&self, spans: usize, deadline: Duration) {
        self.blocking_wait_until(deadline, |collector| collector.accepted_count() >= spans);
    }

    /// [`wait_for_requests`](Self::wait_for_requests), for code that is not async.
    ///
    /// # Panics
    ///
    /// If that takes longer than `deadline`.
    #[track_caller]
    pub fn blocking_wait_for_requests(&self, requests: usize, deadline: Duration) {
        self.blocking_wait_until(deadline, |collector| collector.request_count() >= requests);
    }

    /// [`wait_until`](Self::wait_until), for code that is not async.
    ///
    /// # Panics
    ///
    /// If that takes longer than `deadline`.
    #[track_caller]
    pub fn blocking_wait_until(&self, deadline: Duration, condition: impl Fn(&Self) -> bool) {
        let caller = Location::caller();
        let holds = self
            .shared
            .record
            .block_until(Instant::now() + deadline, || condition(self));
        assert!(holds, "{}", self.in_vain(deadline, caller));
    }

    fn in_vain(&self, deadline: Duration, caller: &Location<'_>) -> String {
        let state = self.shared.record.state();
        format!(
            "{caller}: waited {deadline:?} in vain; there were {} connections ({} open, \
             {} failed handshakes), {} requests ({} started, {} unusable), {} spans accepted, {} rejected",
            state.connections,
            state.open_connections,
            state.failed_handshakes.len(),
            state.received,
            state.started,
            state.unusable.len(),
            state.accepted.counts().len(),
            state.rejected.counts().len(),
        )
    }
}

// === impl Shared ===

impl Shared {
    fn new(script: Script<Received, Answer>, config: Config) -> Self {
        Self {
            script,
            record: Record::new(),
            config,
        }
    }
}
