//! OTLP/HTTP, byte for byte.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use prost::Message;
use serde_json::{Value, json};
use towline_test_support::transport::{MemoryTransport, Reply};

use crate::support::{Server, builder, gzip, request};

fn full(bytes: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(bytes.into())
}

#[tokio::test]
async fn both_encodings_and_every_compression_arrive() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let protobuf = request([1]).encode_to_vec();
    let json = serde_json::to_vec(&request([1])).unwrap();
    let identity: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    let zstd: fn(&[u8]) -> Vec<u8> = |bytes| zstd_of(bytes);
    let mut sent = 0;
    for (content_type, body, expected) in [
        ("application/x-protobuf", &protobuf, &b""[..]),
        ("application/json", &json, b"{}"),
        ("Application/JSON; charset=utf-8", &json, b"{}"),
    ] {
        for (encoding, compress) in [
            (None, identity),
            (Some("identity"), identity),
            (Some("gzip"), gzip),
            (Some("zstd"), zstd),
        ] {
            let mut request = server.http(content_type);
            if let Some(encoding) = encoding {
                request = request.header("content-encoding", encoding);
            }
            let answer = server
                .send(request.body(full(compress(body))).unwrap())
                .await;
            if encoding == Some("zstd") && cfg!(not(feature = "zstd")) {
                assert_eq!(answer.status, 415);
                continue;
            }
            sent += 1;
            assert_eq!(answer.status, 200, "{content_type} {encoding:?} {answer:?}");
            assert_eq!(&answer.body[..], expected);
            let len = expected.len().to_string();
            assert_eq!(answer.header("content-length"), Some(&len[..]));
            let own = content_type.split(';').next().unwrap().to_lowercase();
            assert_eq!(answer.header("content-type"), Some(&own[..]));
            // Stamped alike, whatever it came in.
            let attempts = backend.attempts();
            assert_eq!(attempts.len(), sent);
            assert_eq!(attempts[sent - 1].batch(), attempts[0].batch());
        }
    }
    server.assert_settled();
}

#[cfg(feature = "zstd")]
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[cfg(not(feature = "zstd"))]
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

#[tokio::test]
async fn what_the_protocol_does_not_have_is_refused_as_it_says() {
    let server = Server::start(builder()).await;
    let protobuf = "application/x-protobuf";
    let content = request([1]).encode_to_vec();
    for (method, content_type, encoding, body, status) in [
        ("GET", Some(protobuf), None, &b""[..], 405),
        ("PUT", Some(protobuf), None, &content, 405),
        ("OPTIONS", None, None, b"", 405),
        ("POST", None, None, &content, 415),
        ("POST", Some(""), None, &content, 415),
        ("POST", Some("text/plain"), None, &content, 415),
        ("POST", Some("application/grpc"), None, &content, 415),
        ("POST", Some("application/json-seq"), None, b"{}", 415),
        ("POST", Some(protobuf), Some("br"), &content, 415),
        ("POST", Some(protobuf), Some("gzip, gzip"), &content, 415),
        ("POST", Some(protobuf), Some("gzip"), &content, 400),
        ("POST", Some(protobuf), None, b"garbage", 400),
        ("POST", Some("application/json"), None, b"garbage", 400),
        ("POST", Some("application/json"), None, b"", 400),
        ("POST", Some("application/json"), None, b"[]", 400),
        ("POST", Some(protobuf), None, b"", 200),
        ("POST", Some(protobuf), Some(""), &content, 200),
    ] {
        let mut request = Request::builder()
            .method(method)
            .uri(server.url("/v1/traces"))
            .header("authorization", "Bearer of-alice");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let body = full(body.to_vec());
        let answer = server.send(request.body(body).unwrap()).await;
        let case = format!("{method} {content_type:?} {encoding:?}: {answer:?}");
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(
            answer.header("allow"),
            (status == 405).then_some("POST"),
            "{case}"
        );
        let names = answer.header("accept-encoding").is_some();
        let is_encoding = status == 415 && content_type == Some(protobuf);
        assert_eq!(names, is_encoding, "{case}");
        if status == 200 {
            continue;
        }
        // A `Status` in the encoding of the request, or in protobuf.
        if content_type == Some("application/json") {
            assert_eq!(
                answer.header("content-type"),
                Some("application/json"),
                "{case}"
            );
            let read: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(read["code"], json!(3), "{case}");
            assert!(read["message"].is_string(), "{case}");
        } else {
            assert_eq!(answer.header("content-type"), Some(protobuf), "{case}");
            assert_eq!(answer.body[0], 0x08, "{case}");
        }
    }
    server.assert_alive().await;
    server.assert_settled();
}

#[tokio::test]
async fn two_content_encodings_are_one_too_many() {
    let server = Server::start(builder()).await;
    let request = server
        .http("application/x-protobuf")
        .header("content-encoding", "gzip")
        .header("content-encoding", "identity");
    let answer = server.send(request.body(full("")).unwrap()).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn partial_success_is_passed_back_in_the_encoding_of_the_request() {
    let backend = MemoryTransport::always(Reply::partial(2, "too old"));
    let server = Server::start(builder().exporter(backend)).await;
    let body = full(serde_json::to_vec(&request(1..=5)).unwrap());
    let answer = server
        .send(server.http("application/json").body(body).unwrap())
        .await;
    assert_eq!(answer.status, 200);
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = json!({ "rejectedSpans": "2", "errorMessage": "too old" });
    assert_eq!(read, json!({ "partialSuccess": expected }));

    let body = full(request(1..=5).encode_to_vec());
    let answer = server
        .send(server.http("application/x-protobuf").body(body).unwrap())
        .await;
    assert_eq!(&answer.body[..], b"\x0a\x0b\x08\x02\x12\x07too old");
}
