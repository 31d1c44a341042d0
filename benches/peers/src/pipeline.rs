//! Whole pipelines, from a span that ends to a collector on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider};
use towline_otlp::Exporter;
use towline_sampler::{Control, Rate, Sampler};

use crate::peers::batch_processor;
use crate::sinks::{Arrivals, Discard};

/// A collector in a process of its own.
#[derive(Debug)]
pub struct Collector {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// What becomes of spans.
pub enum Pipeline {
    /// Ours.
    Ours(SdkTracerProvider, Box<Exporter>, Sampler),
    /// The SDK's batch processor and the exporter of opentelemetry-otlp.
    Sdk(SdkTracerProvider, tokio::runtime::Runtime),
    /// None: they are dropped when they end.
    Nothing(SdkTracerProvider),
}

// === impl Collector ===

impl Collector {
    /// One that takes everything, or one that never answers.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(is_hanging: bool) -> Self {
        Self::run(Command::new(Self::program()), is_hanging)
    }

    /// The same with the lowest priority, so that it takes as little as it can from whoever is measured: it would be on
    /// another machine.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start_aside(is_hanging: bool) -> Self {
        let mut command = Command::new("nice");
        command.arg("-n19").arg(Self::program());
        Self::run(command, is_hanging)
    }

    fn program() -> PathBuf {
        let mut program = std::env::current_exe().expect("this program is somewhere");
        program.set_file_name("collector");
        program
    }

    fn run(mut command: Command, is_hanging: bool) -> Self {
        let mut process = command
            .args(is_hanging.then_some("hanging"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the collector starts");
        let port = port_said_by(&mut process);
        Self {
            process,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        }
    }

    /// How many spans have arrived.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub fn spans(&self) -> usize {
        let mut stream = TcpStream::connect(self.address).expect("the collector is there");
        let request = b"GET /spans HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n\r\n";
        stream.write_all(request).expect("the collector listens");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the collector answers");
        let count = answer
            .rsplit("\r\n")
            .next()
            .and_then(|body| body.trim().parse().ok());
        count.expect("a number")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port in the first line that a process writes.
///
/// # Panics
///
/// When there is none.
pub fn port_said_by(process: &mut Child) -> u16 {
    let output = process.stdout.take().expect("its output is read");
    let mut line = String::new();
    BufReader::new(output)
        .read_line(&mut line)
        .expect("it says its port");
    line.trim().parse().expect("a port")
}

/// A port of this machine that nobody listens on.
///
/// # Panics
///
/// When none is free.
pub fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound")
}

// === impl Protocol ===

impl Protocol {
    /// Its name, for people and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }

    /// The one with this name.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn by_name(name: &str) -> Self {
        match name {
            "grpc" => Self::Grpc,
            "http" => Self::Http,
            other => panic!("the protocol is {other:?}, expected grpc or http"),
        }
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// Ours, with its defaults.
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    pub fn ours(protocol: Protocol, collector: SocketAddr) -> Self {
        let url = match protocol {
            Protocol::Grpc => format!("grpc://{collector}"),
            Protocol::Http => format!("http://{collector}/v1/traces"),
        };
        let (processor, exporter) = Exporter::builder()
            .url(url)
            .build()
            .expect("the URL is valid");
        let sampler = Sampler::new(Control::new(Rate::ALWAYS));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_resource(resource())
            .with_span_processor(processor)
            .build();
        Self::Ours(provider, Box::new(exporter), sampler)
    }

    /// The SDK's, with its defaults.
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    pub fn sdk(protocol: Protocol, collector: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let entered = runtime.enter();
        let exporter = match protocol {
            Protocol::Grpc => SpanExporter::builder()
                .with_tonic()
                .with_endpoint(format!("http://{collector}"))
                .build(),
            Protocol::Http => SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("http://{collector}/v1/traces"))
                .build(),
        };
        let provider = SdkTracerProvider::builder()
            .with_sampler(SdkSampler::ParentBased(Box::new(SdkSampler::AlwaysOn)))
            .with_resource(resource())
            .with_span_processor(batch_processor(exporter.expect("the endpoint is valid")))
            .build();
        drop(entered);
        Self::Sdk(provider, runtime)
    }

    /// None.
    pub fn nothing() -> Self {
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_span_processor(Discard(Arrivals::default()));
        Self::Nothing(provider.build())
    }

    /// Makes spans.
    pub const fn provider(&self) -> &SdkTracerProvider {
        match self {
            Self::Ours(provider, ..) | Self::Sdk(provider, _) | Self::Nothing(provider) => provider,
        }
    }

    /// Delivers what has ended, or gives up after half a minute.
    pub fn flush(&self) {
        match self {
            // What was lost shows in what arrives.
            Self::Ours(_, exporter, _) => drop(exporter.blocking_flush(Duration::from_secs(30))),
            Self::Sdk(provider, _) => drop(provider.force_flush()),
            Self::Nothing(_) => {}
        }
    }
}

/// Of whom all spans are.
pub fn resource() -> Resource {
    Resource::builder_empty().with_service_name("users").build()
}

/// Where a request comes from.
pub const PEER_PORT: u16 = 54321;

/// Those of a server's span, thirteen.
pub fn attributes() -> Vec<KeyValue> {
    vec![
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("url.path", "/users/42".to_owned()),
        KeyValue::new("url.query", "q=abc".to_owned()),
        KeyValue::new("http.route", "/users/{id}"),
        KeyValue::new("server.address", "users.example".to_owned()),
        KeyValue::new("server.port", 8080),
        KeyValue::new("client.address", "198.51.100.7".to_owned()),
        KeyValue::new("network.peer.address", "198.51.100.7".to_owned()),
        KeyValue::new("network.peer.port", i64::from(PEER_PORT)),
        KeyValue::new("network.protocol.version", "1.1"),
        KeyValue::new("user_agent.original", "curl/8.7.1".to_owned()),
        KeyValue::new("http.response.status_code", 200),
    ]
}
