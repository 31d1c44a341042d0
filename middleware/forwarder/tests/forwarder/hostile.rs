//! What nobody with good intentions sends. After each of it the forwarder works as before.

use bytes::Bytes;
use http_body_util::Full;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline_forwarder::Limits;
use towline_test_support::transport::MemoryTransport;

use crate::support::{LONG, Pieces, Server, builder, frame, gzip, gzip_bomb, request};

const PROTOBUF: &str = "application/x-protobuf";

fn full(bytes: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(bytes.into())
}

#[tokio::test]
async fn a_request_cut_at_any_byte_is_refused_or_a_smaller_one() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let content = request([1]).encode_to_vec();
    let json = serde_json::to_vec(&request([1])).unwrap();
    for len in 0..content.len() {
        let cut = content[..len].to_vec();
        let post = server.http(PROTOBUF).body(full(cut.clone())).unwrap();
        let status = if len == 0 { 200 } else { 400 };
        assert_eq!(server.send(post).await.status, status, "{len}");
        // A frame that says how long it is, and one that lies about it.
        let call = server.grpc().body(full(frame(0, &cut))).unwrap();
        let code = if len == 0 { 0 } else { 3 };
        assert_eq!(server.send_h2(call).await.code(), code, "{len}");
        let call = server
            .grpc()
            .body(full(frame(0, &content).slice(..len + 5)));
        assert_eq!(server.send_h2(call.unwrap()).await.code(), 13, "{len}");
    }
    for len in 0..5 {
        let call = server.grpc().body(full(frame(0, &content).slice(..len)));
        let code = if len == 0 { 12 } else { 13 };
        assert_eq!(server.send_h2(call.unwrap()).await.code(), code, "{len}");
    }
    for len in 0..json.len() {
        let post = server
            .http("application/json")
            .body(full(json[..len].to_vec()));
        assert_eq!(server.send(post.unwrap()).await.status, 400, "{len}");
    }
    let zipped = gzip(&content);
    for len in 1..zipped.len() {
        let post = server.http(PROTOBUF).header("content-encoding", "gzip");
        let post = post.body(full(zipped[..len].to_vec())).unwrap();
        assert_eq!(server.send(post).await.status, 400, "{len}");
    }
    assert!(backend.attempts().is_empty());
    server.assert_alive().await;
    server.assert_settled();
}

#[tokio::test]
async fn broken_frames_have_the_codes_of_grpc() {
    let server = Server::start(builder()).await;
    let content = request([1]).encode_to_vec();
    let plain = frame(0, &content);
    let two = [&plain[..], &plain].concat();
    let trailing = [&plain[..], &[0]].concat();
    let empty = frame(0, &[]);
    let two_empty = [&empty[..], &empty].concat();
    let zipped = frame(1, &gzip(&content));
    let garbage = frame(1, b"not compressed");
    for (name, encoding, body, code) in [
        ("as it should be", None, plain.to_vec(), 0),
        ("in gzip", Some("gzip"), zipped.to_vec(), 0),
        (
            "plain though it could be compressed",
            Some("gzip"),
            plain.to_vec(),
            0,
        ),
        ("nothing", None, vec![], 12),
        ("no content", None, empty.to_vec(), 0),
        ("two messages", None, two, 12),
        ("two empty ones", None, two_empty, 12),
        ("a byte too many", None, trailing, 12),
        (
            "compressed, and nobody knows how",
            None,
            zipped.to_vec(),
            13,
        ),
        (
            "compressed with nothing",
            Some("identity"),
            zipped.to_vec(),
            13,
        ),
        ("not compressed", Some("gzip"), garbage.to_vec(), 13),
        ("an unknown compression", Some("snappy"), plain.to_vec(), 12),
        ("a flag of 2", None, frame(2, &content).to_vec(), 13),
        (
            "a flag of 255",
            Some("gzip"),
            frame(255, &content).to_vec(),
            13,
        ),
        ("4 GiB announced", None, vec![0, 255, 255, 255, 255, 1], 8),
        ("garbage", None, frame(0, b"garbage").to_vec(), 3),
    ] {
        let mut call = server.grpc();
        if let Some(encoding) = encoding {
            call = call.header("grpc-encoding", encoding);
        }
        let answer = server.send_h2(call.body(full(body)).unwrap()).await;
        assert_eq!(
            (answer.status, answer.code()),
            (200, code),
            "{name}: {answer:?}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/grpc"),
            "{name}"
        );
    }
    server.assert_alive().await;
    server.assert_settled();
}

#[tokio::test]
async fn what_is_not_grpc_is_told_in_http() {
    let server = Server::start(builder()).await;
    for (content_type, method, status) in [
        (Some("application/grpc"), "POST", 200),
        (Some("application/grpc+proto"), "POST", 200),
        (Some("Application/gRPC; x=y"), "POST", 200),
        (Some("application/grpc"), "GET", 405),
        (Some("application/grpc+json"), "POST", 415),
        (Some("application/grpc-web"), "POST", 415),
        (Some("application/grpcx"), "POST", 415),
        (Some("application/json"), "POST", 415),
        (None, "POST", 415),
    ] {
        let mut call = http::Request::builder()
            .method(method)
            .uri(server.url(crate::support::EXPORT))
            .header("authorization", "Bearer of-alice");
        if let Some(content_type) = content_type {
            call = call.header("content-type", content_type);
        }
        let body = full(frame(0, &request([1]).encode_to_vec()));
        let answer = server.send_h2(call.body(body).unwrap()).await;
        assert_eq!(answer.status, status, "{content_type:?} {method}");
        assert_eq!(answer.grpc_header("grpc-status").is_some(), status == 200);
    }
}

#[tokio::test]
async fn bombs_are_refused() {
    let server = Server::start(builder()).await;
    let bomb = gzip_bomb(200 << 20);
    assert!(bomb.len() < 250_000, "{}", bomb.len());
    let post = server.http(PROTOBUF).header("content-encoding", "gzip");
    let answer = server.send(post.body(full(bomb.clone())).unwrap()).await;
    assert_eq!(answer.status, 413);
    let call = server.grpc().header("grpc-encoding", "gzip");
    let answer = server
        .send_h2(call.body(full(frame(1, &bomb))).unwrap())
        .await;
    assert_eq!(answer.code(), 8);
    assert_eq!(server.stats().requests.refused.too_large, 2);
    server.assert_alive().await;
    server.assert_settled();
}

#[tokio::test]
async fn ten_million_empty_spans_are_refused() {
    let server = Server::start(builder()).await;
    // scope_spans { spans {}, … } in resource_spans.
    let spans = [0x12, 0].repeat(10_000_000);
    let nest = |number: u8, content: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    };
    let content = nest(1, &nest(2, &spans));
    let answer = server
        .send(server.http(PROTOBUF).body(full(content.clone())).unwrap())
        .await;
    assert_eq!(answer.status, 413);
    let call = server.grpc().header("grpc-encoding", "gzip");
    let body = full(frame(1, &gzip(&content)));
    assert_eq!(server.send_h2(call.body(body).unwrap()).await.code(), 8);

    let list = "{},".repeat(10_000_000);
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{list}{{}}]}}]}}]}}"#);
    let answer = server
        .send(server.http("application/json").body(full(json)).unwrap())
        .await;
    assert_eq!(answer.status, 413);
    server.assert_alive().await;
    server.assert_settled();
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let server = Server::start(builder()).await;
    let mut value = vec![0x0a, 1, b'x'];
    for _ in 0..5000 {
        for number in [1, 5] {
            let mut outer = vec![number << 3 | 2];
            prost::encoding::encode_varint(value.len() as u64, &mut outer);
            outer.extend_from_slice(&value);
            value = outer;
        }
    }
    // value of an attribute of a span, in scope_spans and resource_spans.
    for number in [2, 9, 2, 2, 1] {
        let mut outer = vec![number << 3 | 2];
        prost::encoding::encode_varint(value.len() as u64, &mut outer);
        outer.extend_from_slice(&value);
        value = outer;
    }
    let answer = server
        .send(server.http(PROTOBUF).body(full(value)).unwrap())
        .await;
    assert_eq!(answer.status, 400);
    let brackets = "[".repeat(1 << 20);
    for json in [format!(r#"{{"later":{brackets}"#), brackets] {
        let answer = server
            .send(server.http("application/json").body(full(json)).unwrap())
            .await;
        assert_eq!(answer.status, 400);
    }
    server.assert_alive().await;
}

/// One byte at a time, each in time, is bounded by the time for the whole.
#[tokio::test]
async fn a_slow_body_does_not_keep_its_place() {
    let limits = Limits::new().timeout(std::time::Duration::from_millis(200));
    let server = Server::start(builder().limits(limits)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer of-alice\r\n\
        content-type: application/x-protobuf\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let drip = tokio::spawn(async move {
        while write.write_all(&[0x0a]).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let mut answer = [0; 12];
    let read = tokio::time::timeout(LONG, read.read_exact(&mut answer)).await;
    read.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");
    drip.abort();
    server.until(|stats| stats.requests.in_flight == 0).await;
    server.assert_settled();
    server.assert_alive().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing_behind() {
    let server = Server::start(builder()).await;
    for len in [0, 10, 1000] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer of-alice\r\n\
            content-type: application/x-protobuf\r\ncontent-length: 1001\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![0; len]).await.unwrap();
        let received = server.stats().requests.received;
        server
            .until(|stats| stats.requests.received >= received.max(1))
            .await;
        drop(stream);
    }
    let stats = server
        .until(|stats| stats.requests.cancelled == 3 && stats.requests.in_flight == 0)
        .await;
    assert_eq!(stats.requests.received, 3);
    server.assert_settled();
    server.assert_alive().await;
}

#[tokio::test]
async fn any_number_of_pieces_is_put_together() {
    let server = Server::start(builder()).await;
    let content = frame(0, &request(1..=5).encode_to_vec());
    let pieces = content.chunks(1).map(Bytes::copy_from_slice);
    let body = Pieces {
        pieces: pieces.collect(),
        hangs: false,
    };
    assert_eq!(
        server
            .send_h2(server.grpc().body(body).unwrap())
            .await
            .code(),
        0
    );
    assert_eq!(server.stats().spans.discarded, 5);
}
