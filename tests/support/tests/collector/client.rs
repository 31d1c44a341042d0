//! Raw clients, and the requests they send.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport::Channel;
use towline_test_support::collector::Collector;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

/// More than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What a stop takes only when a client does not read what it is answered.
pub(crate) const STOP_TIME: Duration = Duration::from_secs(5);

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A request with spans of these ids.
pub(crate) fn request(ids: impl IntoIterator<Item = u64>) -> ExportTraceServiceRequest {
    let span = |id: u64| Span {
        trace_id: vec![7; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: "GET /users/{id}".to_owned(),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: ids.into_iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

pub(crate) fn encoded(ids: impl IntoIterator<Item = u64>) -> Bytes {
    request(ids).encode_to_vec().into()
}

/// The same as gRPC frames it.
pub(crate) fn framed(message: &[u8], compressed: bool) -> Bytes {
    let mut frame = vec![u8::from(compressed)];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame.into()
}

/// How often each span was accepted, in the order of their ids.
pub(crate) fn accepted(collector: &Collector) -> Vec<(u64, usize)> {
    counts(collector.accepted())
}

pub(crate) fn counts(counts: impl IntoIterator<Item = (SpanId, usize)>) -> Vec<(u64, usize)> {
    let mut counts: Vec<_> = counts
        .into_iter()
        .map(|(id, count)| (u64::from_be_bytes(id.to_bytes()), count))
        .collect();
    counts.sort_unstable();
    counts
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    version: Version,
    request: Request<Full<Bytes>>,
) -> Result<Answered, Error> {
    let io = TokioIo::new(stream);
    let response = if version == Version::HTTP_2 {
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        client.send_request(request).await?
    } else {
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        client.send_request(request).await?
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    Ok(Answered {
        status: head.status,
        headers: head.headers,
        trailers: body.trailers().cloned().unwrap_or_default(),
        body: body.to_bytes(),
    })
}

/// POST of a body in plaintext.
pub(crate) async fn post(
    collector: &Collector,
    version: Version,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Answered, Error> {
    let stream = TcpStream::connect(collector.address()).await?;
    send(
        stream,
        version,
        post_request(collector, version, path, headers, body),
    )
    .await
}

pub(crate) fn post_request(
    collector: &Collector,
    version: Version,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Request<Full<Bytes>> {
    let address = collector.address();
    let request = match version {
        Version::HTTP_2 => Request::post(format!("http://{address}{path}")),
        _ => Request::post(path).header("host", address.to_string()),
    };
    headers
        .iter()
        .fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(Full::new(body))
        .unwrap()
}

/// OTLP/HTTP over HTTP/1.1, with protobuf.
pub(crate) async fn post_protobuf(collector: &Collector, body: Bytes) -> Result<Answered, Error> {
    let headers = [("content-type", PROTOBUF)];
    post(collector, Version::HTTP_11, "/v1/traces", &headers, body).await
}

/// OTLP/gRPC, and no client that reads meaning into the answer.
pub(crate) async fn post_grpc(collector: &Collector, body: Bytes) -> Result<Answered, Error> {
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    post(
        collector,
        Version::HTTP_2,
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        &headers,
        framed(&body, false),
    )
    .await
}

/// tonic's client.
pub(crate) async fn grpc(collector: &Collector) -> TraceServiceClient<Channel> {
    let url = format!("http://{}", collector.address());
    TraceServiceClient::connect(url).await.unwrap()
}

/// A connection with TLS by this name.
pub(crate) async fn connect_tls(
    collector: &Collector,
    mut config: ClientConfig,
    name: &str,
    alpn: &[&str],
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(collector.address()).await?;
    let name = ServerName::try_from(name.to_owned())?;
    Ok(TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?)
}

/// All causes of an error, as text.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += ": ";
        text += &cause.to_string();
        source = cause.source();
    }
    text
}

/// Whether an I/O error of this kind is among the causes.
pub(crate) fn has_kind(
    error: &(dyn std::error::Error + 'static),
    kind: std::io::ErrorKind,
) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == kind) {
            return true;
        }
        cause = error.source();
    }
    false
}
