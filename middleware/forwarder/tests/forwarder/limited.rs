//! What a client can cost.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use prost::Message;
use towline_forwarder::Limits;
use towline_test_support::Gate;
use towline_test_support::transport::{MemoryTransport, Reply};

use crate::support::{Pieces, Server, builder, frame, gzip, request, tonic_request};

const PROTOBUF: &str = "application/x-protobuf";

fn full(bytes: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(bytes.into())
}

#[tokio::test]
async fn the_size_of_a_request_ends_at_the_limit_exactly() {
    let content = request(1..=20).encode_to_vec();
    for (limit, fits) in [(content.len(), true), (content.len() - 1, false)] {
        let limits = Limits::new().max_request_bytes(limit);
        let server = Server::start(builder().limits(limits)).await;
        let (code, status) = if fits { (0, 200) } else { (8, 413) };
        for compressed in [false, true] {
            let body = if compressed {
                gzip(&content)
            } else {
                content.clone()
            };
            let mut post = server.http(PROTOBUF);
            let mut call = server.grpc();
            if compressed {
                post = post.header("content-encoding", "gzip");
                call = call.header("grpc-encoding", "gzip");
            }
            // With its length announced, and without.
            let chunked = Pieces {
                pieces: body.chunks(50).map(Bytes::copy_from_slice).collect(),
                hangs: false,
            };
            let answer = server.send(post.body(chunked).unwrap()).await;
            assert_eq!(answer.status, status, "{compressed} {answer:?}");
            let framed = full(frame(u8::from(compressed), &body));
            let answer = server.send_h2(call.body(framed).unwrap()).await;
            assert_eq!(answer.code(), code, "{compressed} {answer:?}");
            if !fits {
                // RESOURCE_EXHAUSTED is sent again if there is a `RetryInfo`.
                let details = answer.grpc_header("grpc-status-details-bin").unwrap();
                assert!(details.len() < 100, "{details}");
            }
        }
        let answer = server.send(server.http(PROTOBUF).body(full(content.clone())).unwrap());
        assert_eq!(answer.await.status, status);
        server.assert_settled();
    }
}

#[tokio::test]
async fn what_is_announced_to_be_too_large_is_not_waited_for() {
    let server = Server::start(builder().limits(Limits::new().max_request_bytes(1000))).await;
    let post = server.http(PROTOBUF).header("content-length", "1001");
    let unread = Pieces {
        pieces: vec![],
        hangs: true,
    };
    assert_eq!(server.send(post.body(unread).unwrap()).await.status, 413);
    let head = Pieces {
        pieces: vec![Bytes::from_static(&[0, 0, 0, 0x03, 0xe9])],
        hangs: true,
    };
    assert_eq!(
        server
            .send_h2(server.grpc().body(head).unwrap())
            .await
            .code(),
        8
    );
    assert_eq!(server.stats().requests.refused.too_large, 2);
}

#[tokio::test]
async fn too_many_spans_are_refused_for_good() {
    let server = Server::start(builder().limits(Limits::new().max_spans(3))).await;
    let mut client = server.tonic().await;
    client.export(tonic_request(request(1..=3))).await.unwrap();
    let status = client
        .export(tonic_request(request(1..=4)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let stats = server.stats();
    assert_eq!(
        (stats.requests.refused.too_large, stats.spans.received),
        (1, 3)
    );
}

#[tokio::test]
async fn too_many_requests_at_a_time_are_sent_away() {
    let gate = Gate::new();
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let limits = Limits::new().max_requests(2);
    let server = Server::start(builder().exporter(backend).limits(limits)).await;
    let mut client = server.tonic().await;
    let calls: Vec<_> = (1..=2)
        .map(|number| {
            let mut client = client.clone();
            tokio::spawn(async move { client.export(tonic_request(request([number]))).await })
        })
        .collect();
    server.until(|stats| stats.spans.in_flight == 2).await;
    let status = client
        .export(tonic_request(request([3])))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(!status.details().is_empty());
    let unread = Pieces {
        pieces: vec![],
        hangs: true,
    };
    let answer = server
        .send(server.http(PROTOBUF).body(unread).unwrap())
        .await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(server.stats().requests.refused.busy, 2);

    gate.open();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    client.export(tonic_request(request([3]))).await.unwrap();
    server.assert_settled();
}

#[tokio::test]
async fn all_requests_together_have_a_bounded_amount_of_memory() {
    let gate = Gate::new();
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let content = request(1..=1000).encode_to_vec();
    let limits = Limits::new().max_held_bytes(content.len() * 10);
    let server = Server::start(builder().exporter(backend).limits(limits)).await;
    let client = server.tonic().await;
    let call = || {
        let mut client = client.clone();
        tokio::spawn(async move { client.export(tonic_request(request(1..=1000))).await })
    };
    let first = call();
    server.until(|stats| stats.spans.in_flight == 1000).await;
    let mut refused = 0;
    let mut held = vec![];
    for _ in 0..5 {
        let before = server.stats();
        let call = call();
        let after = server
            .until(|stats| {
                stats.spans.in_flight > before.spans.in_flight
                    || stats.requests.refused.busy > before.requests.refused.busy
            })
            .await;
        assert!(server.forwarder.held_bytes() <= content.len() * 10);
        match after.requests.refused.busy > before.requests.refused.busy {
            true => refused += 1,
            false => held.push(call),
        }
    }
    assert!(refused >= 3, "{refused}");
    gate.open();
    first.await.unwrap().unwrap();
    for call in held {
        call.await.unwrap().unwrap();
    }
    server.assert_settled();
}

#[tokio::test]
async fn each_sender_has_a_rate_of_its_own() {
    let backend = MemoryTransport::accepting();
    // So slow that nothing comes back while the test runs.
    let limits = Limits::new().spans_per_second(0, 10);
    let server = Server::start(builder().exporter(backend.clone()).limits(limits)).await;
    let post = |token: &str, spans| {
        let mut request = server.http(PROTOBUF);
        let token = http::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request
            .headers_mut()
            .unwrap()
            .insert("authorization", token);
        request
            .body(full(crate::support::request(1..=spans).encode_to_vec()))
            .unwrap()
    };
    assert_eq!(server.send(post("of-alice", 7)).await.status, 200);
    // Known to be too many when it has been read.
    let answer = server.send(post("of-alice", 4)).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("3600"))
    );
    assert_eq!(server.send(post("of-alice", 3)).await.status, 200);
    // Known before.
    let unread = Pieces {
        pieces: vec![],
        hangs: true,
    };
    assert_eq!(
        server
            .send(server.http(PROTOBUF).body(unread).unwrap())
            .await
            .status,
        429
    );
    assert_eq!(server.send(post("of-bob", 10)).await.status, 200);

    let body = full(frame(0, &request([1]).encode_to_vec()));
    let answer = server.send_h2(server.grpc().body(body).unwrap()).await;
    assert_eq!(answer.code(), 8);
    // With a `RetryInfo`.
    let details = answer.grpc_header("grpc-status-details-bin").unwrap();
    assert!(details.len() > 100, "{details}");

    let stats = server.stats();
    assert_eq!((stats.spans.forwarded, stats.spans.rate_limited), (20, 4));
    assert_eq!(stats.requests.refused.rate_limited, 3);
    assert_eq!(backend.attempts().len(), 3);
    server.assert_settled();
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up() {
    let limits = Limits::new().idle_timeout(Duration::from_millis(50));
    let server = Server::start(builder().limits(limits)).await;
    let content = request([1]).encode_to_vec();
    for len in [0, 1, content.len()] {
        let still = |bytes: &[u8]| Pieces {
            pieces: vec![Bytes::copy_from_slice(bytes)],
            hangs: true,
        };
        let post = server.http(PROTOBUF).body(still(&content[..len])).unwrap();
        assert_eq!(server.send(post).await.status, 504);
        let framed = frame(0, &content);
        let call = server.grpc().body(still(&framed[..len])).unwrap();
        assert_eq!(server.send_h2(call).await.code(), 4);
    }
    assert_eq!(server.stats().requests.failed, 6);
    server.assert_settled();
    server.assert_alive().await;
}

/// A layer around us that limits bodies is understood.
#[tokio::test]
async fn the_limit_of_a_layer_before_is_413_as_well() {
    use tower::{Layer, ServiceExt};
    let forwarder = builder().build();
    let limit = tower_http::limit::RequestBodyLimitLayer::new(10);
    let post = http::Request::post("/v1/traces")
        .header("content-type", PROTOBUF)
        .header("authorization", "Bearer of-alice")
        .body(Pieces {
            pieces: vec![Bytes::from(request([1]).encode_to_vec())],
            hangs: false,
        })
        .unwrap();
    let response = limit.layer(forwarder.http()).oneshot(post).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(forwarder.stats().requests.refused.too_large, 1);
}
