//! What is taken, and how it is recorded.

use std::io::Write;

use bytes::Bytes;
use http::Version;
use tonic::codec::CompressionEncoding;
use towline_test_support::collector::{Collector, Encoding, Protocol};

use crate::client::{
    JSON, PROTOBUF, accepted, encoded, framed, grpc, post, post_grpc, post_protobuf, request,
};

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

fn zstd(bytes: &[u8]) -> Bytes {
    zstd::encode_all(bytes, 0).unwrap().into()
}

#[tokio::test]
async fn one_socket_takes_every_protocol_and_encoding() {
    let collector = Collector::start();
    let plain = encoded([1]);
    let json = Bytes::from(serde_json::to_vec(&request([1])).unwrap());
    for (version, content_type, encoding, body) in [
        (Version::HTTP_11, PROTOBUF, "identity", plain.clone()),
        (Version::HTTP_2, PROTOBUF, "gzip", gzip(&plain)),
        (Version::HTTP_11, PROTOBUF, "zstd", zstd(&plain)),
        (Version::HTTP_11, JSON, "identity", json.clone()),
        (
            Version::HTTP_2,
            "application/json; charset=utf-8",
            "gzip",
            gzip(&json),
        ),
        (Version::HTTP_11, JSON, "zstd", zstd(&json)),
    ] {
        let headers = [
            ("content-type", content_type),
            ("content-encoding", encoding),
        ];
        let answered = post(&collector, version, "/v1/traces", &headers, body.clone())
            .await
            .unwrap();
        assert_eq!(answered.status, 200, "{content_type} {encoding}");
        let received = collector.requests().pop().unwrap();
        assert_eq!(
            *received.request(),
            request([1]),
            "{content_type} {encoding}"
        );
        assert_eq!(received.http_version(), version);
        assert_eq!(received.wire_bytes(), body.len());
        let is_json = content_type.starts_with(JSON);
        let protocol = if is_json {
            Protocol::HttpJson
        } else {
            Protocol::HttpProtobuf
        };
        assert_eq!(received.protocol(), protocol);
        assert_eq!(answered.body, if is_json { "{}" } else { "" });
        assert_eq!(*received.message(), if is_json { &json } else { &plain });
        let expected = match encoding {
            "gzip" => Encoding::Gzip,
            "zstd" => Encoding::Zstd,
            _ => Encoding::Identity,
        };
        assert_eq!(received.encoding(), expected);
    }
    for (compression, encoding) in [
        (None, Encoding::Identity),
        (Some(CompressionEncoding::Gzip), Encoding::Gzip),
        (Some(CompressionEncoding::Zstd), Encoding::Zstd),
    ] {
        let mut client = grpc(&collector).await;
        if let Some(compression) = compression {
            client = client.send_compressed(compression);
        }
        let response = client.export(request([1])).await.unwrap();
        assert_eq!(response.into_inner().partial_success, None);
        let received = collector.requests().pop().unwrap();
        assert_eq!(*received.request(), request([1]));
        assert_eq!(received.protocol(), Protocol::Grpc);
        assert_eq!(received.encoding(), encoding);
        assert_eq!(
            received.wire_bytes() == plain.len() + 5,
            compression.is_none()
        );
    }
    assert_eq!(accepted(&collector), [(1, 9)]);
    assert_eq!(collector.unusable_requests(), [""; 0]);
}

#[tokio::test]
async fn headers_and_metadata_are_kept_as_they_came() {
    let collector = Collector::start();
    let headers = [
        ("content-type", PROTOBUF),
        ("authorization", "Bearer secret"),
        ("x-many", "1"),
        ("x-many", "2"),
    ];
    for (number, version) in [Version::HTTP_11, Version::HTTP_2].into_iter().enumerate() {
        post(&collector, version, "/v1/traces", &headers, encoded([2, 3]))
            .await
            .unwrap();
        let received = collector.requests().pop().unwrap();
        assert_eq!(received.number(), number);
        assert_eq!(received.connection(), number);
        assert_eq!(received.path(), "/v1/traces");
        assert_eq!(received.header("authorization"), Some("Bearer secret"));
        let many: Vec<_> = received.headers().get_all("x-many").iter().collect();
        assert_eq!(many, ["1", "2"]);
        let address = collector.address().to_string();
        assert_eq!(received.authority(), Some(address.as_str()));
        assert_eq!(received.span_ids().count(), 2);
        assert_eq!(received.peer_certificate(), None);
    }
    let mut request = tonic::Request::new(request([4]));
    let metadata = request.metadata_mut();
    metadata.insert("x-tenant", "a".parse().unwrap());
    metadata.insert_bin(
        "x-raw-bin",
        tonic::metadata::MetadataValue::from_bytes(b"\x01"),
    );
    request.set_timeout(std::time::Duration::from_secs(7));
    grpc(&collector).await.export(request).await.unwrap();
    let received = collector.requests().pop().unwrap();
    assert_eq!(received.header("x-tenant"), Some("a"));
    assert_eq!(received.header("x-raw-bin"), Some("AQ"));
    assert_eq!(received.header("grpc-timeout"), Some("7000000u"));
}

#[tokio::test]
async fn paths_can_be_changed() {
    let collector = Collector::builder()
        .grpc_path("/tracing.v1/Upload")
        .http_path("/otlp/traces")
        .start();
    for (path, content_type, body) in [
        ("/otlp/traces", PROTOBUF, encoded([1])),
        (
            "/tracing.v1/Upload",
            "application/grpc+proto",
            framed(&encoded([2]), false),
        ),
    ] {
        let headers = [("content-type", content_type)];
        let answered = post(&collector, Version::HTTP_2, path, &headers, body)
            .await
            .unwrap();
        assert_eq!(answered.status, 200, "{path}");
    }
    assert_eq!(accepted(&collector), [(1, 1), (2, 1)]);
    assert_eq!(
        post_protobuf(&collector, encoded([3]))
            .await
            .unwrap()
            .status,
        404
    );
    let answered = post_grpc(&collector, encoded([3])).await.unwrap();
    assert_eq!(answered.header("grpc-status"), "12");
    assert_eq!(accepted(&collector).len(), 2);
    assert_eq!(
        collector.unusable_requests(),
        [
            "POST /v1/traces: expected /otlp/traces",
            "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export: expected /tracing.v1/Upload",
        ]
    );
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_listed() {
    let collector = Collector::builder().max_request_bytes(1000).start();
    let http = |headers: &'static [(&str, &str)], body: Bytes| {
        post(&collector, Version::HTTP_11, "/v1/traces", headers, body)
    };
    let large = vec![b'x'; 1001];
    let bomb = gzip(&vec![0; 100_000]);
    assert!(bomb.len() < 1000);
    let bomb_zstd = zstd(&vec![0; 100_000]);
    for (expected, headers, body) in [
        (415, &[("content-type", "text/plain")][..], encoded([1])),
        (415, &[], encoded([1])),
        (415, &[("content-type", "application/jsonp")], encoded([1])),
        (
            415,
            &[("content-type", PROTOBUF), ("content-encoding", "br")],
            encoded([1]),
        ),
        (
            400,
            &[("content-type", PROTOBUF)],
            Bytes::from_static(b"\x0a\x05"),
        ),
        (400, &[("content-type", JSON)], Bytes::from_static(b"[")),
        (
            400,
            &[("content-type", PROTOBUF), ("content-encoding", "gzip")],
            encoded([1]),
        ),
        (
            400,
            &[("content-type", PROTOBUF), ("content-encoding", "zstd")],
            encoded([1]),
        ),
        (413, &[("content-type", PROTOBUF)], large.into()),
        (
            413,
            &[("content-type", PROTOBUF), ("content-encoding", "gzip")],
            bomb,
        ),
        (
            413,
            &[("content-type", PROTOBUF), ("content-encoding", "zstd")],
            bomb_zstd,
        ),
    ] {
        let before = collector.unusable_requests().len();
        let answered = http(headers, body).await.unwrap();
        assert_eq!(answered.status, expected, "{headers:?}");
        assert_eq!(collector.unusable_requests().len(), before + 1);
    }
    let stream = tokio::net::TcpStream::connect(collector.address())
        .await
        .unwrap();
    let get = http::Request::get("/v1/traces").header("content-type", PROTOBUF);
    let get = get.body(http_body_util::Full::default()).unwrap();
    let answered = crate::client::send(stream, Version::HTTP_11, get)
        .await
        .unwrap();
    assert_eq!(answered.status, 405);

    let export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    for (expected, encoding, body) in [
        ("13", "identity", Bytes::new()),
        ("13", "identity", framed(&encoded([1]), false).slice(..9)),
        ("12", "snappy", framed(b"x", true)),
        ("3", "gzip", framed(b"x", true)),
        ("3", "identity", framed(b"x", false)),
        ("8", "identity", framed(&[0; 996], false)),
    ] {
        let headers = [
            ("content-type", "application/grpc"),
            ("grpc-encoding", encoding),
        ];
        let answered = post(&collector, Version::HTTP_2, export, &headers, body)
            .await
            .unwrap();
        assert_eq!(
            (answered.status.as_u16(), answered.header("grpc-status")),
            (200, expected)
        );
    }
    assert_eq!(
        (collector.request_count(), collector.accepted_count()),
        (0, 0)
    );
    assert_eq!(collector.unusable_requests().len(), 18);
    assert_eq!(collector.started_requests(), 18);
}

#[cfg(unix)]
#[tokio::test]
async fn listens_on_a_unix_socket_and_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.sock");
    let collector = Collector::builder().unix_socket(&path).start();
    assert_eq!(collector.unix_socket(), Some(path.as_path()));
    let send = async |id| {
        let stream = tokio::net::UnixStream::connect(&path).await?;
        let request = http::Request::post("/v1/traces").header("content-type", PROTOBUF);
        let request = request
            .body(http_body_util::Full::new(encoded([id])))
            .unwrap();
        crate::client::send(stream, Version::HTTP_11, request).await
    };
    assert_eq!(send(1).await.unwrap().status, 200);
    collector.stop();
    assert!(!path.exists());
    assert!(send(2).await.is_err());
    collector.restart();
    assert_eq!(send(3).await.unwrap().status, 200);
    assert_eq!(accepted(&collector), [(1, 1), (3, 1)]);
    drop(collector);
    assert!(!path.exists());
}

#[tokio::test]
async fn counts_without_keeping() {
    let collector = Collector::builder().without_requests().start();
    post_protobuf(&collector, encoded([1])).await.unwrap();
    assert_eq!(
        (collector.request_count(), collector.accepted_count()),
        (1, 1)
    );
    assert!(collector.requests().is_empty());
}
