//! Forwarders in this process: one between a client and a collector, and one that throws away.

// The example daemon's: without it clients over HTTP/1 may miss refusals.
#[path = "../../../examples/src/bin/forwarder/linger.rs"]
mod linger;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use towline_forwarder::{BearerTokens, Forwarder, Identity, Limits, Stats};
use towline_otlp::policy::Backoff;
use towline_otlp::{Exporter, Processor};
use towline_test_support::collector::Collector;

use self::linger::Linger;
use crate::protobuf;
use crate::span::Span;

/// The token that the forwarder knows, and whose it is.
pub const TOKEN: (&str, &str) = ("c0ffee", "alice");

/// A forwarder for gRPC and HTTP at one address, and a collector behind it that does as it is told.
/// Stopped when it is dropped.
#[derive(Debug)]
pub struct Between {
    /// Behind it.
    pub collector: Collector,
    forwarder: Forwarder,
    serving: Serving,
    _exporter: (Processor, Exporter),
}

/// A collector that counts spans and throws them away. Stopped when it is dropped.
#[derive(Debug)]
pub struct Counter {
    forwarder: Forwarder,
    serving: Serving,
}

/// A server with a thread of its own.
#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

// === impl Between ===

impl Between {
    /// Starts both. The forwarder knows [`TOKEN`], has these limits, and leaves it to the clients to
    /// send spans again.
    ///
    /// # Panics
    ///
    /// When there is no port or no thread.
    #[must_use]
    pub fn start(limits: Limits) -> Self {
        let collector = Collector::start();
        let (processor, exporter) = Exporter::builder()
            .url(collector.grpc_url())
            .backoff(Backoff::none())
            .build()
            .expect("an exporter");
        let (token, name) = TOKEN;
        let identity = Identity::new(name).expect("a name");
        let forwarder = Forwarder::builder()
            .authorize(BearerTokens::new().token(token, identity))
            .exporter(exporter.service())
            .limits(limits)
            .build();
        Self {
            serving: Serving::start(&forwarder),
            collector,
            forwarder,
            _exporter: (processor, exporter),
        }
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// What has become of requests and spans.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.forwarder.stats()
    }

    /// The spans that the collector has been sent.
    #[must_use]
    pub fn arrived(&self) -> Vec<Span> {
        let requests = self.collector.requests();
        let spans = requests
            .iter()
            .flat_map(|request| protobuf::spans(request.request().clone()));
        spans.collect()
    }
}

// === impl Counter ===

impl Counter {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When there is no port or no thread.
    #[must_use]
    pub fn start() -> Self {
        let anyone = Identity::new("anyone").expect("a name");
        let forwarder = Forwarder::builder()
            .authorize(move |_: &http::request::Parts| Ok(anyone.clone()))
            .build();
        Self {
            serving: Serving::start(&forwarder),
            forwarder,
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// The spans that have come so far.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.forwarder.stats().spans.received
    }
}

// === impl Serving ===

impl Serving {
    fn start(forwarder: &Forwarder) -> Self {
        let app = Router::new()
            .route_service("/v1/traces", forwarder.http())
            .fallback_service(forwarder.grpc());
        let app = Router::new().fallback_service(Linger::new(app));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
