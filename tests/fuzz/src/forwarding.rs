//! A forwarder that anything may be sent to, and what comes out behind it.

use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt};
use towline_forwarder::{Forwarder, Identity, Limits};
use towline_otlp::{Batch, ExportError, Receipt};

/// A forwarder with a backend that takes everything.
pub struct Forwarding {
    runtime: Runtime,
    /// After a panic there is no next request.
    forwarder: AssertUnwindSafe<Forwarder>,
    backend: Backend,
}

/// Keeps the last batch.
#[derive(Clone, Debug, Default)]
struct Backend(Arc<Mutex<Option<Bytes>>>);

impl Forwarding {
    /// For requests of 1 MiB at most, of a sender called `alice`.
    ///
    /// # Panics
    ///
    /// If there can be no runtime.
    #[expect(clippy::new_without_default, reason = "it starts something")]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let backend = Backend::default();
        let forwarder = Forwarder::builder()
            .exporter(backend.clone())
            .limits(Limits::new().max_request_bytes(1 << 20))
            .build();
        Self {
            runtime,
            forwarder: AssertUnwindSafe(forwarder),
            backend,
        }
    }

    /// The status of the answer to this request, and the batch that arrived, if one did.
    ///
    /// # Panics
    ///
    /// If something is held afterwards.
    pub fn post(&self, media: &str, encoding: Option<&str>, body: &[u8]) -> (u16, Option<Bytes>) {
        let mut request = Request::post("/v1/traces").header("content-type", media);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let service = self.forwarder.http();
        let response = self
            .runtime
            .block_on(service.oneshot(finish(request, body)));
        let response = response.expect("a response");
        (response.status().as_u16(), self.settled())
    }

    /// The gRPC status of the answer to this call, and the batch that arrived, if one did.
    ///
    /// # Panics
    ///
    /// If something is held afterwards, or the answer has no status.
    pub fn call(&self, encoding: Option<&str>, body: &[u8]) -> (i32, Option<Bytes>) {
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let mut request = Request::post(path).header("content-type", "application/grpc");
        if let Some(encoding) = encoding {
            request = request.header("grpc-encoding", encoding);
        }
        let service = self.forwarder.grpc();
        let response = self
            .runtime
            .block_on(service.oneshot(finish(request, body)));
        let response = response.expect("a response");
        // A success has it in the trailers.
        let code = response.headers().get("grpc-status");
        let code = code.map_or(Ok("0"), |code| code.to_str());
        let code = code.expect("text").parse().expect("a number");
        (code, self.settled())
    }

    fn settled(&self) -> Option<Bytes> {
        assert_eq!(self.forwarder.held_bytes(), 0);
        let stats = self.forwarder.stats();
        assert_eq!((stats.requests.in_flight, stats.spans.in_flight), (0, 0));
        self.backend.0.lock().expect("no panic before").take()
    }
}

impl Service<Batch> for Backend {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Ready<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        *self.0.lock().expect("no panic before") = Some(batch.bytes().clone());
        ready(Ok(Receipt::accepted()))
    }
}

fn finish(request: http::request::Builder, body: &[u8]) -> Request<Full<Bytes>> {
    let alice = Identity::new("alice").expect("a name");
    request
        .extension(alice)
        .body(Full::new(Bytes::copy_from_slice(body)))
        .expect("a request")
}
