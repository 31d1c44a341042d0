//! Spans to a collector over HTTP, on real sockets.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;
use towline_otlp::{
    Batch, Endpoint, ExportError, ExportErrorKind, Exporter, Http, PeerStatus, Receipt,
    TransportErrorKind,
};

use crate::support::collector::{HttpCollector, Server, nobody, spans};
use crate::support::spans::span;

const LONG: Duration = Duration::from_secs(30);

fn batch() -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(0)])
}

async fn send(url: &str) -> Result<Receipt, ExportError> {
    Http::new(&Endpoint::parse(url).unwrap())
        .unwrap()
        .oneshot(batch())
        .await
}

fn answering(answer: Response<Full<Bytes>>) -> HttpCollector {
    HttpCollector::start(move |_| Box::pin(std::future::ready(answer.clone())))
}

fn protobuf(status: u16, body: &'static [u8]) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-protobuf")
        .body(Bytes::from_static(body).into())
        .unwrap()
}

#[test]
fn spans_of_the_sdk_arrive_as_one_post_of_protobuf() {
    let collector = HttpCollector::accepting();
    let (processor, exporter) = Exporter::builder().url(collector.url()).build().unwrap();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    provider.tracer("test").in_span("one", |_| {});
    provider.tracer("test").in_span("two", |_| {});
    exporter.blocking_shutdown(LONG).unwrap();

    let requests = collector.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = requests[0].clone().into_parts();
    assert_eq!(
        (head.method.as_str(), head.uri.path()),
        ("POST", "/v1/traces")
    );
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    assert_eq!(head.headers["content-length"], body.len().to_string());
    assert_eq!(head.headers["host"], collector.address().to_string());
    assert!(
        head.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("towline/")
    );
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let names: Vec<_> = spans(&request).into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["one", "two"]);
}

#[tokio::test]
async fn a_path_is_used_as_it_is() {
    let collector = HttpCollector::accepting();
    send(&format!("{}/api//traces/", collector.url()))
        .await
        .unwrap();
    assert_eq!(collector.requests()[0].uri().path(), "/api//traces/");
}

#[tokio::test]
async fn any_success_is_success() {
    for status in [200, 202, 204] {
        let collector = answering(
            Response::builder()
                .status(status)
                .body(Full::default())
                .unwrap(),
        );
        assert_eq!(
            send(&collector.url()).await.unwrap(),
            Receipt::accepted(),
            "{status}"
        );
    }
    let collector = answering(protobuf(200, &[0x0a, 5, 0x08, 7, 0x12, 1, b'x']));
    assert_eq!(
        send(&collector.url()).await.unwrap(),
        Receipt::partial(7, "x")
    );
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_to_the_end() {
    let long = Bytes::from(vec![b'x'; 5 << 20]);
    let collector = answering(Response::new(Full::new(long)));
    let receipt = send(&collector.url()).await.unwrap();
    assert_eq!(receipt.rejected_spans(), 0);
    assert!(
        receipt.message().unwrap().contains("4194304"),
        "{receipt:?}"
    );
}

#[tokio::test]
async fn a_refusal_keeps_status_text_and_delay() {
    let mut answer = protobuf(503, &[0x12, 4, b'b', b'u', b's', b'y']);
    answer
        .headers_mut()
        .insert("retry-after", "3".parse().unwrap());
    let collector = answering(answer);
    let error = send(&collector.url()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ExportErrorKind::Refused(PeerStatus::Http(503))
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert!(error.to_string().contains(&collector.url()), "{error}");
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "busy"
    );
}

#[tokio::test]
async fn every_other_status_is_a_refusal() {
    for status in [300, 301, 307, 400, 401, 404, 415, 429, 500, 502, 504] {
        let mut answer = Response::new(Full::from("no"));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer
            .headers_mut()
            .insert("location", "/elsewhere".parse().unwrap());
        let collector = answering(answer);
        let error = send(&collector.url()).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ExportErrorKind::Refused(PeerStatus::Http(status))
        );
        assert_eq!(collector.requests().len(), 1, "redirects are not followed");
    }
    let collector = answering(protobuf(413, &[]));
    assert_eq!(
        send(&collector.url()).await.unwrap_err().kind(),
        ExportErrorKind::TooLarge
    );
}

#[tokio::test]
async fn what_breaks_before_an_answer_is_unreachable() {
    assert_eq!(
        send(&format!("http://{}", nobody()))
            .await
            .unwrap_err()
            .kind(),
        ExportErrorKind::Unreachable
    );
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Server::start_connections(move |mut stream| async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer).await;
        });
        let error = send(&format!("http://{}", server.address()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Unreachable, "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_of_ones_own_can_add_what_it_likes() {
    let collector = HttpCollector::accepting();
    let uri: http::Uri = format!("{}/v1/traces", collector.url()).parse().unwrap();
    let plain = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http();
    let client = tower::ServiceBuilder::new()
        .map_request(|mut request: http::Request<Full<Bytes>>| {
            request
                .headers_mut()
                .insert("authorization", "Bearer x".parse().unwrap());
            request
        })
        .service(plain);
    Http::with_client(client, uri)
        .oneshot(batch())
        .await
        .unwrap();
    assert_eq!(
        collector.requests()[0].headers()["authorization"],
        "Bearer x"
    );
}

#[test]
fn other_endpoints_are_refused() {
    for url in ["grpc://host", "grpcs://host", "unix:///a", "file:///tmp"] {
        let error = Http::new(&Endpoint::parse(url).unwrap()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Scheme, "{url}");
    }
}
