use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ServerConfig;

use super::place::Address;
use super::{Answer, Collector, Received, Shared};
use crate::Mix;
use crate::certificates::{TestCa, TestCertificate};
use crate::script::Script;

/// The options of a [`Collector`].
///
/// Without any it listens on a free port of the loopback interface, in plaintext, and takes every
/// span.
#[derive(Debug)]
#[must_use]
pub struct CollectorBuilder {
    address: Address,
    script: Script<Received, Answer>,
    certificate: Option<TestCertificate>,
    client_ca: Option<TestCa>,
    starts_stopped: bool,
    config: Config,
}

/// What stays as it is while a collector runs.
pub(super) struct Config {
    pub(super) reading: Box<dyn Fn(usize) -> Reading + Send + Sync>,
    pub(super) on_connect: Box<dyn Fn(usize) -> Greeting + Send + Sync>,
    pub(super) grpc_path: String,
    pub(super) http_path: String,
    pub(super) max_request_bytes: usize,
    pub(super) receive_window_bytes: Option<u32>,
    pub(super) keeps_requests: bool,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// How the body of a request is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// As fast as it comes.
    Whole,
    /// Slowly: a piece as it came, then a tick of real time for each `bytes_per_tick` of it. How
    /// much is on its way in between is up to the sockets and to HTTP/2's windows: see
    /// [`CollectorBuilder::receive_window_bytes`].
    Slow {
        /// How many bytes a tick is for; 0 counts as 1.
        bytes_per_tick: usize,
        /// How long a tick is.
        tick: Duration,
    },
    /// Not any more once so many bytes are there, which a request must have to be caught. It is
    /// never answered.
    StopAfter {
        /// How many bytes are read; a piece more when they do not come in pieces of that size.
        bytes: usize,
    },
}

/// What a new connection meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Greeting {
    /// A collector.
    Serve,
    /// Nothing at all: it is accepted, and never read from or written to. A TLS handshake does not
    /// come to its end.
    Hang,
    /// A reset (TCP RST) as soon as it is accepted.
    Reset,
}

// === impl CollectorBuilder ===

impl CollectorBuilder {
    pub(super) fn new() -> Self {
        Self {
            address: Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            script: Script::always(Answer::ok()),
            certificate: None,
            client_ca: None,
            starts_stopped: false,
            config: Config {
                reading: Box::new(|_| Reading::Whole),
                on_connect: Box::new(|_| Greeting::Serve),
                grpc_path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export".to_owned(),
                http_path: "/v1/traces".to_owned(),
                max_request_bytes: 64 << 20,
                receive_window_bytes: None,
                keeps_requests: true,
                tls: None,
            },
        }
    }

    /// Answers each request by a function. It runs on the collector's thread; what it panics with
    /// ends the connection.
    pub fn answer(mut self, answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        self.script = Script::function(answer);
        self
    }

    /// Answers each request in the same way.
    pub fn always(mut self, answer: Answer) -> Self {
        self.script = Script::always(answer);
        self
    }

    /// Answers the requests with these, one after the other, and all that follow with the last.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[track_caller]
    pub fn sequence(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.script = Script::sequence(answers);
        self
    }

    /// Answers each request as drawn at random.
    ///
    /// # Panics
    ///
    /// If nothing can be drawn.
    #[track_caller]
    pub fn mix(mut self, mix: Mix<Answer>) -> Self {
        self.script = Script::mix(mix);
        self
    }

    /// How the bodies of requests are read, by the number of the request, from 0, in the order in
    /// which their heads come.
    pub fn reading(mut self, reading: impl Fn(usize) -> Reading + Send + Sync + 'static) -> Self {
        self.config.reading = Box::new(reading);
        self
    }

    /// What connections meet, by their number, from 0.
    pub fn on_connect(
        mut self,
        greeting: impl Fn(usize) -> Greeting + Send + Sync + 'static,
    ) -> Self {
        self.config.on_connect = Box::new(greeting);
        self
    }

    /// Listens with TLS 1.2 and 1.3 and this certificate, and not in plaintext. ALPN offers `h2` and
    /// `http/1.1`.
    pub fn tls(mut self, certificate: &TestCertificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Demands a certificate of the client that this authority has signed. Only with
    /// [`tls`](Self::tls).
    pub fn client_ca(mut self, ca: &TestCa) -> Self {
        self.client_ca = Some(ca.clone());
        self
    }

    /// The path of OTLP/gRPC, which by default is OTLP's own:
    /// `/opentelemetry.proto.collector.trace.v1.TraceService/Export`.
    pub fn grpc_path(mut self, path: impl Into<String>) -> Self {
        self.config.grpc_path = path.into();
        self
    }

    /// The path of OTLP/HTTP, by default `/v1/traces`.
    pub fn http_path(mut self, path: impl Into<String>) -> Self {
        self.config.http_path = path.into();
        self
    }

    /// Refuses requests of more bytes, before or after decompression, as
    /// [`Refusal::TooLarge`](super::Refusal::TooLarge) does. By default 64 MiB. They are among the
    /// [`unusable_requests`](Collector::unusable_requests).
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.config.max_request_bytes = bytes;
        self
    }

    /// Makes the windows small through which a request comes: HTTP/2's, for streams and for
    /// connections (those not below 65,535), and the buffer of the socket. By default they are
    /// hyper's (1 MiB) and the system's.
    pub fn receive_window_bytes(mut self, bytes: u32) -> Self {
        self.config.receive_window_bytes = Some(bytes);
        self
    }

    /// Keeps counts and span ids only: [`requests`](Collector::requests) stays empty. For many
    /// spans.
    pub fn without_requests(mut self) -> Self {
        self.config.keeps_requests = false;
        self
    }

    /// Listens here. By default `127.0.0.1:0`: a free port.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Address::Tcp(address);
        self
    }

    /// Listens on a Unix socket at this path, where nothing may be yet, and removes it in the end.
    /// [`Answer::reset`] closes: these sockets know no reset.
    #[cfg(unix)]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.address = Address::Unix(path.into());
        self
    }

    /// Has its port, but does not listen before [`Collector::restart`]: connections are refused.
    pub fn start_stopped(mut self) -> Self {
        self.starts_stopped = true;
        self
    }

    /// Starts.
    ///
    /// # Panics
    ///
    /// If the address cannot be had, or if there is a [`client_ca`](Self::client_ca) and no
    /// [`tls`](Self::tls).
    #[must_use]
    #[track_caller]
    pub fn start(mut self) -> Collector {
        assert!(
            self.client_ca.is_none() || self.certificate.is_some(),
            "certificates of clients are for TLS, which is not on"
        );
        self.config.tls = self.certificate.map(|certificate| {
            let mut config = certificate.server_config(self.client_ca.as_ref());
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Arc::new(config)
        });
        let collector = Collector::new(&self.address, Shared::new(self.script, self.config));
        if !self.starts_stopped {
            collector.listen();
        }
        collector
    }
}

// === impl Config ===

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("grpc_path", &self.grpc_path)
            .field("http_path", &self.http_path)
            .finish_non_exhaustive()
    }
}
