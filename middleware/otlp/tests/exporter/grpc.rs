//! Spans to a collector over gRPC, on real sockets.

use std::time::Duration;

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, Status};
use tower::ServiceExt;
use towline_otlp::policy::Backoff;
use towline_otlp::{
    Batch, Endpoint, ExportError, ExportErrorKind, Exporter, Grpc, PeerStatus, Receipt,
};

use crate::support::collector::{GrpcAnswer, GrpcCollector, Server, nobody, spans};
use crate::support::spans::span;

const LONG: Duration = Duration::from_secs(30);

fn batch() -> Batch {
    Batch::encode(
        &Resource::builder_empty().with_service_name("users").build(),
        [&span(0)],
    )
}

/// Sends one batch over a new connection.
async fn send(url: &str) -> Result<Receipt, ExportError> {
    Grpc::new(&Endpoint::parse(url).unwrap())
        .unwrap()
        .oneshot(batch())
        .await
}

fn answering(answer: GrpcAnswer) -> GrpcCollector {
    GrpcCollector::start(move |_| Box::pin(std::future::ready(answer.clone())))
}

#[test]
fn spans_of_the_sdk_arrive_with_their_resource() {
    let collector = GrpcCollector::accepting();
    let (processor, exporter) = Exporter::builder().url(collector.url()).build().unwrap();
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().with_service_name("users").build())
        .with_span_processor(processor)
        .build();
    provider.tracer("test").in_span("one", |_| {});
    provider.force_flush().unwrap();
    provider.tracer("test").in_span("two", |_| {});
    let summary = exporter.blocking_shutdown(LONG).unwrap();
    assert_eq!((summary.stats.ended, summary.stats.exported), (2, 2));

    let requests = collector.requests();
    let names: Vec<_> = requests
        .iter()
        .flat_map(spans)
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["one", "two"]);
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(resource.attributes[0].key, "service.name");
}

#[tokio::test]
async fn one_connection_serves_many_batches_and_names_the_client() {
    let collector = GrpcCollector::accepting();
    let grpc = Grpc::new(&Endpoint::parse(&collector.url()).unwrap()).unwrap();
    for _ in 0..3 {
        assert_eq!(
            grpc.clone().oneshot(batch()).await.unwrap(),
            Receipt::accepted()
        );
    }
    assert_eq!(collector.requests().len(), 3);
    let agent = collector.metadata()[0]
        .get("user-agent")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        agent.starts_with("towline/") && agent.contains("OTel-OTLP-Exporter-Rust/"),
        "{agent}"
    );
}

#[tokio::test]
async fn a_partial_success_is_a_receipt() {
    let partial = ExportTracePartialSuccess {
        rejected_spans: 7,
        error_message: "too old".into(),
    };
    let collector = answering(Ok(ExportTraceServiceResponse {
        partial_success: Some(partial),
    }));
    assert_eq!(
        send(&collector.url()).await.unwrap(),
        Receipt::partial(7, "too old")
    );
}

#[tokio::test]
async fn a_refusal_keeps_code_text_and_delay() {
    // google.rpc.Status { details: [Any { RetryInfo { retry_delay: 3 s } }] }
    let mut info = vec![0x0a, 40];
    info.extend_from_slice(b"type.googleapis.com/google.rpc.RetryInfo");
    info.extend_from_slice(&[0x12, 4, 0x0a, 2, 0x08, 3]);
    let details = [&[0x1a, info.len() as u8][..], &info].concat();
    let collector = answering(Err(Status::with_details(
        Code::ResourceExhausted,
        "busy",
        details.into(),
    )));
    let error = send(&collector.url()).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Refused(PeerStatus::Grpc(8)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert!(error.is_retryable());
    assert!(
        error.to_string().contains(&collector.address().to_string()),
        "{error}"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "busy"
    );
}

#[tokio::test]
async fn every_code_is_told_apart() {
    for code in 1..=16 {
        let collector = answering(Err(Status::new(Code::from(code), "no")));
        let error = send(&collector.url()).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ExportErrorKind::Refused(PeerStatus::Grpc(code))
        );
    }
}

#[tokio::test]
async fn a_collector_on_tonic_that_finds_a_batch_too_large_is_not_asked_again() {
    // Its own words, as a server with a limit of a few bytes says them.
    let text = "Error, decoded message length too large: found 300 bytes, the limit is: 10 bytes";
    let collector = answering(Err(Status::out_of_range(text)));
    let error = send(&collector.url()).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::TooLarge);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let error = send(&nobody().to_string()).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Unreachable);
    assert!(error.is_retryable() && std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn what_is_no_grpc_server_is_unreachable() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        &[0xff; 4096],
    ] {
        let server = Server::start_connections(move |mut stream| async move {
            let _ = stream.write_all(answer).await;
            let mut buffer = [0; 1024];
            while stream
                .read(&mut buffer)
                .await
                .is_ok_and(|read| read > 0 && !answer.is_empty())
            {}
        });
        let error = tokio::time::timeout(LONG, send(&server.address().to_string()))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Unreachable, "{answer:?}");
    }
}

/// Serves gRPC by hand: one response for whatever comes.
fn http2(
    response: impl Fn() -> http::Response<http_body_util::Full<bytes::Bytes>>
    + Clone
    + Send
    + Sync
    + 'static,
) -> Server {
    Server::start_connections(move |stream| {
        let response = response.clone();
        async move {
            let service = hyper::service::service_fn(move |_| {
                let response = response();
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let _ = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                .await;
        }
    })
}

#[tokio::test]
async fn details_that_are_not_base64_do_no_harm() {
    let server = http2(|| {
        http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "14")
            .header("grpc-status-details-bin", "!!!")
            .body(Default::default())
            .unwrap()
    });
    let error = send(&server.address().to_string()).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Refused(PeerStatus::Grpc(14)));
}

#[tokio::test]
async fn an_answer_that_claims_gigabytes_is_refused() {
    let server = http2(|| {
        http::Response::builder()
            .header("content-type", "application/grpc")
            .body(bytes::Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 0]).into())
            .unwrap()
    });
    let error = send(&server.address().to_string()).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::InvalidResponse);
}

#[tokio::test]
async fn an_answer_that_is_no_message_is_refused() {
    let server = http2(|| {
        http::Response::builder()
            .header("content-type", "application/grpc")
            .body(bytes::Bytes::from_static(&[0, 0, 0, 0, 1, 0xff]).into())
            .unwrap()
    });
    let error = send(&server.address().to_string()).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::InvalidResponse);
}

#[tokio::test]
async fn a_proxy_that_answers_in_http_is_mapped_as_grpc_says() {
    for (status, code) in [(503, 14), (401, 16), (404, 12), (500, 2)] {
        let server = http2(move || {
            http::Response::builder()
                .status(status)
                .body(Default::default())
                .unwrap()
        });
        let error = send(&server.address().to_string()).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ExportErrorKind::Refused(PeerStatus::Grpc(code)),
            "{status}"
        );
    }
}

#[test]
fn a_collector_that_hangs_once_is_asked_again_on_another_connection() {
    // Takes the first connection and never says a word on it; serves the others.
    let collector = GrpcCollector::accepting();
    let target = collector.address();
    let connections = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&connections);
    let proxy = Server::start_connections(move |mut stream| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            if number == 0 {
                return std::future::pending().await;
            }
            let mut upstream = tokio::net::TcpStream::connect(target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
        }
    });
    let (processor, exporter) = Exporter::builder()
        .url(proxy.address().to_string())
        .attempt_timeout(Duration::from_millis(200))
        .backoff(Backoff::new().initial(Duration::from_millis(10)))
        .build()
        .unwrap();
    processor.on_end(span(0));
    exporter.blocking_flush(LONG).unwrap();
    let stats = exporter.stats();
    assert_eq!((stats.exported, stats.failed_attempts), (1, 1));
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[test]
fn a_collector_that_comes_back_is_found_again() {
    let first = GrpcCollector::accepting();
    let address = first.address();
    let (processor, exporter) = Exporter::builder()
        .url(first.url())
        .backoff(
            Backoff::new()
                .initial(Duration::from_millis(10))
                .max_delay(Duration::from_millis(50)),
        )
        .build()
        .unwrap();
    processor.on_end(span(0));
    exporter.blocking_flush(LONG).unwrap();
    drop(first);
    processor.on_end(span(1));
    assert!(exporter.blocking_flush(Duration::from_millis(200)).is_err());
    assert_eq!(exporter.stats().in_flight, 1);
    let second = GrpcCollector::start_on(address, |_| {
        Box::pin(std::future::ready(
            Ok(ExportTraceServiceResponse::default()),
        ))
    });
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(exporter.stats().exported, 2);
    assert_eq!(second.requests().len(), 1);
}

#[tokio::test]
async fn a_channel_of_tonic_serves_as_well() {
    let collector = GrpcCollector::accepting();
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{}", collector.address()))
            .unwrap()
            .connect_lazy();
    let grpc = Grpc::with_client(channel, http::Uri::from_static("/"));
    assert_eq!(grpc.oneshot(batch()).await.unwrap(), Receipt::accepted());
    assert_eq!(collector.requests().len(), 1);
}

#[test]
fn other_endpoints_are_refused() {
    for url in ["http://host", "https://host", "file:///tmp"] {
        let error = Grpc::new(&Endpoint::parse(url).unwrap()).unwrap_err();
        assert_eq!(
            error.kind(),
            towline_otlp::TransportErrorKind::Scheme,
            "{url}"
        );
    }
}
