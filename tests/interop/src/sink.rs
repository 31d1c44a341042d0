//! Where peers send spans on to: an OTLP/gRPC receiver that keeps what comes.
//!
//! It is tonic's and opentelemetry-proto's, with nothing of Towline in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::protobuf;
use crate::span::Span;

/// A receiver with a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    received: Received,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug, Default)]
struct Received(Arc<Mutex<Vec<Span>>>);

// === impl Sink ===

impl Sink {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Panics
    ///
    /// When it cannot.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(usize::MAX);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let serving = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener));
            runtime.block_on(async {
                tokio::select! {
                    served = serving => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            received,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has come so far.
    ///
    /// # Panics
    ///
    /// Not unless its thread did.
    #[must_use]
    pub fn received(&self) -> Vec<Span> {
        self.received.0.lock().expect("no panic in between").clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

// === impl Received ===

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = protobuf::spans(request.into_inner());
        self.0.lock().expect("no panic in between").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
