//! A server with a forwarder in it, and clients that send what they are told.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::{self as client, Client};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Channel;
use tower::ServiceExt;
use towline_forwarder::{BearerTokens, Forwarder, ForwarderBuilder, Identity, ResponseBody, Stats};

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A forwarder on a socket, over HTTP/1 and HTTP/2.
pub(crate) struct Server {
    pub(crate) forwarder: Forwarder,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// A forwarder for whoever has the token of [`authorized`].
pub(crate) fn builder() -> ForwarderBuilder {
    let identity = |name: &str| Identity::new(name).unwrap();
    let tokens = BearerTokens::new()
        .token("of-alice", identity("alice"))
        .token("of-bob", identity("bob"));
    Forwarder::builder().authorize(tokens)
}

// === impl Server ===

impl Server {
    pub(crate) async fn start(builder: ForwarderBuilder) -> Self {
        let forwarder = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = forwarder.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let forwarder = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| serve(forwarder.clone(), request));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            forwarder,
            address,
            task,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.forwarder.stats()
    }

    /// Waits until the stats are as they should be.
    pub(crate) async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let seen = timeout(LONG, async {
            loop {
                let stats = self.stats();
                assert_accounted_for(&stats);
                if wanted(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        seen.await.unwrap_or_else(|_| panic!("{:?}", self.stats()))
    }

    /// Whether everything has been answered, and nothing is held for it.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        let stats = self.stats();
        assert_accounted_for(&stats);
        assert_eq!(stats.requests.in_flight, 0, "{stats:?}");
        assert_eq!(stats.spans.in_flight, 0, "{stats:?}");
        assert_eq!(self.forwarder.held_bytes(), 0);
    }

    pub(crate) async fn tonic(&self) -> TraceServiceClient<Channel> {
        let url = format!("http://{}", self.address);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        TraceServiceClient::new(channel)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends by HTTP/1.
    pub(crate) async fn send<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let response = timeout(LONG, self.request(request)).await.unwrap();
        answer(response.unwrap()).await
    }

    /// Sends by HTTP/1, and does not insist on an answer.
    pub(crate) fn request<B>(&self, request: Request<B>) -> client::ResponseFuture
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let client = Client::builder(TokioExecutor::new()).build_http();
        client.request(request)
    }

    /// Sends by HTTP/2.
    pub(crate) async fn send_h2<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        answer(
            timeout(LONG, client.request(request))
                .await
                .unwrap()
                .unwrap(),
        )
        .await
    }

    /// A POST to `/v1/traces`, as alice.
    pub(crate) fn http(&self, content_type: &str) -> http::request::Builder {
        Request::post(self.url("/v1/traces"))
            .header("authorization", "Bearer of-alice")
            .header("content-type", content_type)
    }

    /// A call of `Export`, as alice.
    pub(crate) fn grpc(&self) -> http::request::Builder {
        Request::post(self.url(EXPORT))
            .header("authorization", "Bearer of-alice")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    }

    /// Sends a request that is as it should be, and gets it acknowledged: it still works.
    pub(crate) async fn assert_alive(&self) {
        let body = Full::new(Bytes::from(request(1..=1).encode_to_vec()));
        let sent = self.http("application/x-protobuf").body(body).unwrap();
        let answer = self.send(sent).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = Full::new(frame(0, &request(2..=2).encode_to_vec()));
        let answer = self.send_h2(self.grpc().body(body).unwrap()).await;
        assert_eq!(answer.code(), 0, "{answer:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    forwarder: Forwarder,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    match request.uri().path() {
        "/v1/traces" => forwarder.http().oneshot(request).await,
        _ => forwarder.grpc().oneshot(request).await,
    }
}

async fn answer(response: Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = timeout(LONG, body.collect()).await.unwrap().unwrap();
    let trailers = body.trailers().cloned();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.to_bytes(),
        trailers,
    }
}

#[track_caller]
pub(crate) fn assert_accounted_for(stats: &Stats) {
    let requests = &stats.requests;
    assert_eq!(
        requests.received,
        requests.acknowledged
            + requests.refused.total()
            + requests.failed
            + requests.cancelled
            + requests.in_flight,
        "{stats:?}"
    );
    let spans = &stats.spans;
    assert_eq!(
        spans.received,
        spans.forwarded
            + spans.rejected
            + spans.discarded
            + spans.rate_limited
            + spans.failed
            + spans.cancelled
            + spans.in_flight,
        "{stats:?}"
    );
}

// === impl Answer ===

impl Answer {
    /// The gRPC status, wherever it stands.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        let status = self.grpc_header("grpc-status");
        status
            .unwrap_or_else(|| panic!("{self:?}"))
            .parse()
            .unwrap()
    }

    pub(crate) fn grpc_header(&self, name: &str) -> Option<&str> {
        let trailers = self
            .trailers
            .as_ref()
            .and_then(|trailers| trailers.get(name));
        let value = trailers.or_else(|| self.headers.get(name))?;
        Some(value.to_str().unwrap())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A span that is told from others by its number.
pub(crate) fn span(number: u64) -> Span {
    Span {
        trace_id: u128::from(number).to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: format!("span {number}"),
        ..Span::default()
    }
}

/// A request with these spans.
pub(crate) fn request(numbers: impl IntoIterator<Item = u64>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: numbers.into_iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

pub(crate) fn tonic_request(
    message: ExportTraceServiceRequest,
) -> tonic::Request<ExportTraceServiceRequest> {
    let mut request = tonic::Request::new(message);
    let token = "Bearer of-alice".parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    request
}

/// A gRPC message with what stands before it.
pub(crate) fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(&[flag][..]);
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame.freeze()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// So many zeros, compressed.
pub(crate) fn gzip_bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], flate2::Compression::best());
    let chunk = vec![0; 1 << 20];
    for _ in 0..bytes / chunk.len() {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.finish().unwrap()
}

/// A body of these pieces, of which nobody knows the length, that hangs at its end or ends.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) hangs: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.pieces.is_empty() {
            return match self.hangs {
                true => Poll::Pending,
                false => Poll::Ready(None),
            };
        }
        Poll::Ready(Some(Ok(Frame::data(self.pieces.remove(0)))))
    }
}
