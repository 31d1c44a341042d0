//! Collectors on real sockets, each with a thread and a runtime of its own, answering as they are
//! told.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What a collector has received, in order.
pub type Received<T> = Arc<Mutex<Vec<T>>>;

/// A thread that serves a listening socket until it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An OTLP/gRPC collector.
pub struct GrpcCollector {
    server: Server,
    requests: Received<ExportTraceServiceRequest>,
    metadata: Received<tonic::metadata::MetadataMap>,
}

/// What a collector answers to the n-th request, counted from 0.
pub type GrpcAnswer = Result<ExportTraceServiceResponse, tonic::Status>;

/// An OTLP/HTTP collector, which keeps whole requests.
pub struct HttpCollector {
    server: Server,
    requests: Received<http::Request<Bytes>>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

// === impl Server ===

impl Server {
    /// Serves on a free port of the loopback interface.
    pub fn start<F>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        Self::start_on("127.0.0.1:0".parse().unwrap(), serve)
    }

    pub fn start_on<F>(
        address: SocketAddr,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()>,
    {
        let (stop, stopped) = oneshot::channel();
        let (bound, address_bound) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // A test may watch what the process traces: not the collector's part of it.
            let _silent = tracing::dispatcher::set_default(&tracing::Dispatch::none());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind(address).await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address_bound.recv().unwrap();
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Serves each connection by a function.
    pub fn start_connections<F>(serve: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start(move |listener| async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An address of the loopback interface where nobody listens.
pub fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

// === impl GrpcCollector ===

impl GrpcCollector {
    /// Takes everything.
    pub fn accepting() -> Self {
        Self::start(|_| {
            Box::pin(std::future::ready(
                Ok(ExportTraceServiceResponse::default()),
            ))
        })
    }

    pub fn start(answer: impl Fn(usize) -> BoxFuture<GrpcAnswer> + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), answer)
    }

    /// Takes messages of at most so many bytes.
    pub fn limited(max_bytes: usize) -> Self {
        let answer = |_| -> BoxFuture<GrpcAnswer> {
            Box::pin(std::future::ready(
                Ok(ExportTraceServiceResponse::default()),
            ))
        };
        Self::bind("127.0.0.1:0".parse().unwrap(), max_bytes, answer)
    }

    pub fn start_on(
        address: SocketAddr,
        answer: impl Fn(usize) -> BoxFuture<GrpcAnswer> + Send + Sync + 'static,
    ) -> Self {
        Self::bind(address, 64 << 20, answer)
    }

    fn bind(
        address: SocketAddr,
        max_bytes: usize,
        answer: impl Fn(usize) -> BoxFuture<GrpcAnswer> + Send + Sync + 'static,
    ) -> Self {
        let requests = Received::default();
        let metadata = Received::default();
        let service = Grpc {
            answer: Box::new(answer),
            calls: AtomicUsize::new(0),
            requests: Arc::clone(&requests),
            metadata: Arc::clone(&metadata),
        };
        let server = Server::start_on(address, move |listener| async move {
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            tonic::transport::Server::builder()
                .add_service(decompressing(
                    TraceServiceServer::new(service).max_decoding_message_size(max_bytes),
                ))
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self {
            server,
            requests,
            metadata,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its exporter URL.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.address())
    }

    /// The requests that came, whatever was answered.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.requests.lock().unwrap().clone()
    }

    pub fn metadata(&self) -> Vec<tonic::metadata::MetadataMap> {
        self.metadata.lock().unwrap().clone()
    }
}

/// Takes every compression that is compiled in.
fn decompressing<T>(server: TraceServiceServer<T>) -> TraceServiceServer<T> {
    #[cfg(feature = "gzip")]
    let server = server.accept_compressed(tonic::codec::CompressionEncoding::Gzip);
    #[cfg(feature = "zstd")]
    let server = server.accept_compressed(tonic::codec::CompressionEncoding::Zstd);
    server
}

struct Grpc {
    answer: Box<dyn Fn(usize) -> BoxFuture<GrpcAnswer> + Send + Sync>,
    calls: AtomicUsize,
    requests: Received<ExportTraceServiceRequest>,
    metadata: Received<tonic::metadata::MetadataMap>,
}

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.metadata
            .lock()
            .unwrap()
            .push(request.metadata().clone());
        self.requests.lock().unwrap().push(request.into_inner());
        let answer = (self.answer)(self.calls.fetch_add(1, Ordering::SeqCst));
        answer.await.map(tonic::Response::new)
    }
}

// === impl HttpCollector ===

impl HttpCollector {
    /// Takes everything.
    pub fn accepting() -> Self {
        Self::start(|_| Box::pin(std::future::ready(http::Response::new(Full::default()))))
    }

    /// Answers 413 to more than so many bytes.
    pub fn limited(max_bytes: usize) -> Self {
        Self::serve(move |_, request| {
            let mut response = http::Response::new(Full::default());
            if request.body().len() > max_bytes {
                *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
            }
            Box::pin(std::future::ready(response))
        })
    }

    pub fn start(
        answer: impl Fn(usize) -> BoxFuture<http::Response<Full<Bytes>>> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(move |number, _| answer(number))
    }

    fn serve(
        answer: impl Fn(usize, &http::Request<Bytes>) -> BoxFuture<http::Response<Full<Bytes>>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let requests: Received<http::Request<Bytes>> = Received::default();
        let received = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let server = Server::start_connections(move |stream| {
            let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
            async move {
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let answer = {
                            let mut received = received.lock().unwrap();
                            let request = http::Request::from_parts(head, body);
                            let answer = answer(received.len(), &request);
                            received.push(request);
                            answer
                        };
                        Ok::<_, hyper::Error>(answer.await)
                    }
                });
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
        Self { server, requests }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its exporter URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The requests that came, whatever was answered.
    pub fn requests(&self) -> Vec<http::Request<Bytes>> {
        self.requests.lock().unwrap().clone()
    }
}

/// The spans of a request, in order.
pub fn spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| scope.spans.clone())
        .collect()
}
