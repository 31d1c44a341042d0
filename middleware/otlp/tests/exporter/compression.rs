//! Batches in compressed form.

use std::io::Read;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use prost::Message;
use tower::ServiceExt;
use towline_otlp::{
    Batch, BoxTransport, ClientOptions, Compression, Endpoint, ExportErrorKind, Receipt,
    TransportErrorKind,
};

use crate::support::collector::{GrpcCollector, HttpCollector, spans};
use crate::support::spans::span;

const BOTH: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

/// Enough for it to be of use.
fn batch() -> Batch {
    let spans: Vec<_> = (0..100).map(span).collect();
    Batch::encode(&Resource::builder_empty().build(), &spans)
}

fn connect(
    url: &str,
    compression: Compression,
) -> Result<BoxTransport, towline_otlp::TransportError> {
    let options = ClientOptions::new().compression(compression);
    BoxTransport::connect_with(&Endpoint::parse(url).unwrap(), &options)
}

const fn is_compiled(compression: Compression) -> bool {
    match compression {
        Compression::Gzip => cfg!(feature = "gzip"),
        _ => cfg!(feature = "zstd"),
    }
}

fn compiled() -> impl Iterator<Item = Compression> {
    BOTH.into_iter()
        .filter(|&compression| is_compiled(compression))
}

fn decompressed(compression: Compression, body: &[u8]) -> bytes::Bytes {
    let mut out = Vec::new();
    match compression {
        Compression::Gzip => {
            flate2::read::GzDecoder::new(body)
                .read_to_end(&mut out)
                .unwrap();
        }
        _ => out = zstd::decode_all(body).unwrap(),
    }
    out.into()
}

#[tokio::test]
async fn over_http_the_body_is_compressed_and_says_so() {
    for compression in compiled() {
        let collector = HttpCollector::accepting();
        let batch = batch();
        let transport = connect(&collector.url(), compression).unwrap();
        transport.oneshot(batch.clone()).await.unwrap();
        let request = &collector.requests()[0];
        assert_eq!(request.headers()["content-encoding"], compression.as_str());
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        assert_eq!(request.headers().get("accept-encoding"), None);
        assert!(request.body().len() < batch.len_bytes() / 2);
        assert_eq!(&decompressed(compression, request.body()), batch.bytes());
    }
}

#[tokio::test]
async fn over_grpc_the_message_is_compressed_and_says_so() {
    for compression in compiled() {
        let collector = GrpcCollector::accepting();
        let batch = batch();
        let transport = connect(&collector.url(), compression).unwrap();
        transport.oneshot(batch.clone()).await.unwrap();
        let metadata = &collector.metadata()[0];
        assert_eq!(metadata.get("grpc-encoding").unwrap(), compression.as_str());
        let asked_for = metadata.get("grpc-accept-encoding");
        assert!(
            asked_for.is_none_or(|encodings| encodings == "identity"),
            "{asked_for:?}"
        );
        let request = &collector.requests()[0];
        let expected = ExportTraceServiceRequest::decode(batch.bytes().as_ref()).unwrap();
        assert_eq!(spans(request).len(), 100);
        assert_eq!(request, &expected);
    }
}

/// As with Teleport's clients.
#[tokio::test]
async fn nothing_is_compressed_unless_it_is_asked_for() {
    let (grpc, http) = (GrpcCollector::accepting(), HttpCollector::accepting());
    for url in [grpc.url(), http.url()] {
        let transport = BoxTransport::connect(&Endpoint::parse(&url).unwrap()).unwrap();
        transport.oneshot(batch()).await.unwrap();
    }
    assert_eq!(http.requests()[0].headers().get("content-encoding"), None);
    assert_eq!(http.requests()[0].body(), batch().bytes());
    let encoding = grpc.metadata()[0].get("grpc-encoding").cloned();
    assert!(encoding.is_none_or(|encoding| encoding == "identity"));
}

#[test]
fn a_compression_that_is_not_compiled_in_names_its_feature() {
    for compression in BOTH {
        for url in ["grpc://host", "http://host", "unix:///socket"] {
            match connect(url, compression) {
                Ok(_) => assert!(is_compiled(compression)),
                Err(error) => {
                    assert!(!is_compiled(compression), "{error}");
                    assert_eq!(error.kind(), TransportErrorKind::Feature);
                    let expected = format!("the feature `{compression}`");
                    assert!(error.to_string().contains(&expected), "{error}");
                }
            }
        }
    }
}

/// Whether a server compresses is not ours to say; what it would unfold to cannot be known.
#[tokio::test]
async fn an_answer_in_compressed_form_is_not_unfolded() {
    let server = crate::support::collector::Server::start_connections(|stream| async move {
        let service = hyper::service::service_fn(|_| async {
            http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-encoding", "gzip")
                // A message that says that it is compressed.
                .body(http_body_util::Full::new(bytes::Bytes::from_static(&[
                    1, 0, 0, 0, 1, 0,
                ])))
        });
        let _ = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await;
    });
    let url = format!("grpc://{}", server.address());
    let transport = BoxTransport::connect(&Endpoint::parse(&url).unwrap()).unwrap();
    let error = transport.oneshot(batch()).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(
        matches!(
            error.kind(),
            ExportErrorKind::Refused(_) | ExportErrorKind::InvalidResponse
        ),
        "{error}"
    );

    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &vec![0; 64 << 20]).unwrap();
        bytes::Bytes::from(encoder.finish().unwrap())
    };
    let collector = HttpCollector::start(move |_| {
        let answer = http::Response::builder()
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "gzip")
            .body(http_body_util::Full::new(bomb.clone()))
            .unwrap();
        Box::pin(std::future::ready(answer))
    });
    let transport = BoxTransport::connect(&Endpoint::parse(&collector.url()).unwrap()).unwrap();
    let receipt: Receipt = transport.oneshot(batch()).await.unwrap();
    assert_eq!(receipt.rejected_spans(), 0);
    assert!(
        receipt.message().unwrap().contains("cannot be read"),
        "{receipt:?}"
    );
}
