//! What the backend says, and what the client is told, by both protocols.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use prost::Message;
use towline_forwarder::Limits;
use towline_otlp::{ExportError, ExportErrorKind, PeerStatus};
use towline_test_support::Gate;
use towline_test_support::transport::{MemoryTransport, Reply};

use crate::support::{Server, builder, frame, request, tonic_request};

fn fails(kind: ExportErrorKind) -> Reply {
    Reply::error(ExportError::new(kind, "secret.backend says no"))
}

#[tokio::test]
async fn every_answer_of_the_backend_becomes_the_right_one() {
    let later = Duration::from_millis(1500);
    for (reply, code, status, retry_after) in [
        (Reply::ok(), 0, 200, None),
        (Reply::partial(1, "x"), 0, 200, None),
        (fails(ExportErrorKind::Unreachable), 14, 503, None),
        (fails(ExportErrorKind::Tls), 14, 503, None),
        (fails(ExportErrorKind::Timeout), 14, 503, None),
        (fails(ExportErrorKind::Io), 14, 503, None),
        (
            fails(ExportErrorKind::Overloaded).retry_after(later),
            14,
            503,
            Some("2"),
        ),
        (fails(ExportErrorKind::Shutdown), 14, 503, None),
        (fails(ExportErrorKind::TooLarge), 8, 413, None),
        (fails(ExportErrorKind::Unimplemented), 13, 500, None),
        (fails(ExportErrorKind::InvalidResponse), 13, 500, None),
        (fails(ExportErrorKind::InvalidBatch), 3, 400, None),
        (fails(ExportErrorKind::Other), 13, 500, None),
        (Reply::refused(PeerStatus::Grpc(1)), 14, 503, None),
        (Reply::refused(PeerStatus::Grpc(3)), 3, 400, None),
        (Reply::refused(PeerStatus::Grpc(7)), 13, 500, None),
        (Reply::refused(PeerStatus::Grpc(8)), 13, 500, None),
        (
            Reply::refused(PeerStatus::Grpc(8)).retry_after(later),
            14,
            503,
            Some("2"),
        ),
        (Reply::refused(PeerStatus::Grpc(12)), 13, 500, None),
        (
            Reply::refused(PeerStatus::Grpc(14)).retry_after(later),
            14,
            503,
            Some("2"),
        ),
        (Reply::refused(PeerStatus::Grpc(16)), 13, 500, None),
        (Reply::refused(PeerStatus::Http(400)), 3, 400, None),
        (Reply::refused(PeerStatus::Http(401)), 13, 500, None),
        (Reply::refused(PeerStatus::Http(429)), 14, 503, None),
        (Reply::refused(PeerStatus::Http(500)), 13, 500, None),
        (
            Reply::refused(PeerStatus::Http(503)).retry_after(later),
            14,
            503,
            Some("2"),
        ),
    ] {
        let backend = MemoryTransport::always(reply.clone());
        let server = Server::start(builder().exporter(backend)).await;
        let content = request(1..=2).encode_to_vec();

        let body = Full::new(frame(0, &content));
        let answer = server.send_h2(server.grpc().body(body).unwrap()).await;
        assert_eq!((answer.status, answer.code()), (200, code), "{reply:?}");
        let details = answer.grpc_header("grpc-status-details-bin");
        assert_eq!(details.is_some(), code != 0, "{reply:?}");
        let message = answer.grpc_header("grpc-message").unwrap_or_default();
        assert!(!message.contains("secret"), "{message}");

        for content_type in ["application/x-protobuf", "application/json"] {
            let content = match content_type {
                "application/json" => serde_json::to_vec(&request(1..=2)).unwrap(),
                _ => content.clone(),
            };
            let sent = server
                .http(content_type)
                .body(Full::new(Bytes::from(content)));
            let answer = server.send(sent.unwrap()).await;
            assert_eq!(answer.status, status, "{reply:?}");
            assert_eq!(answer.header("retry-after"), retry_after, "{reply:?}");
            assert_eq!(answer.header("content-type"), Some(content_type));
            assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
        }
        let stats = server.stats();
        assert_eq!(
            stats.requests.acknowledged,
            if code == 0 { 3 } else { 0 },
            "{reply:?}"
        );
        assert_eq!(
            stats.requests.failed,
            if code == 0 { 0 } else { 3 },
            "{reply:?}"
        );
        assert_eq!(
            stats.spans.failed,
            if code == 0 { 0 } else { 6 },
            "{reply:?}"
        );
        server.assert_settled();
    }
}

#[tokio::test]
async fn retry_info_says_when_to_come_back() {
    let later = Duration::new(3, 500_000_000);
    let reply = Reply::refused(PeerStatus::Grpc(14)).retry_after(later);
    let server = Server::start(builder().exporter(MemoryTransport::always(reply))).await;
    let mut client = server.tonic().await;
    let status = client
        .export(tonic_request(request([1])))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    // Any { RetryInfo { Duration { 3 s, 500 ms } } } at its end.
    let details = status.details();
    assert!(
        details.ends_with(&[
            0x12, 0x0a, 0x0a, 0x08, 0x08, 3, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01
        ]),
        "{details:x?}"
    );

    // The exporter of this family reads it.
    let batch = towline_otlp::Batch::parse(request([1]).encode_to_vec()).unwrap();
    let channel = tonic::transport::Channel::from_shared(server.url("")).unwrap();
    let with_token = tower::ServiceBuilder::new()
        .map_request(|mut request: http::Request<tonic::body::Body>| {
            let token = http::HeaderValue::from_static("Bearer of-alice");
            request.headers_mut().insert("authorization", token);
            request
        })
        .service(channel.connect().await.unwrap());
    let grpc = towline_otlp::Grpc::with_client(with_token, http::Uri::from_static("/"));
    let error = tower::ServiceExt::oneshot(grpc, batch).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(later));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn nothing_is_acknowledged_before_the_backend_has_answered() {
    let gate = Gate::new();
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let server = Server::start(builder().exporter(backend.clone())).await;
    let mut client = server.tonic().await;
    let call = tokio::spawn(async move { client.export(tonic_request(request(1..=4))).await });
    let stats = server.until(|stats| stats.spans.in_flight == 4).await;
    assert_eq!(stats.requests.acknowledged, 0);
    // What is on its way, and nothing of how it came to be.
    let alice = towline_forwarder::Identity::new("alice").unwrap();
    let content = Bytes::from(request(1..=4).encode_to_vec());
    let batch = towline_forwarder::Stamp::new(&alice).apply(&content);
    assert_eq!(server.forwarder.held_bytes(), batch.unwrap().len_bytes());
    assert!(!call.is_finished());
    assert!(backend.accepted().is_empty());
    gate.open();
    call.await.unwrap().unwrap();
    assert_eq!(backend.accepted().len(), 4);
    server.assert_settled();
}

#[tokio::test]
async fn the_callers_deadline_ends_the_attempt() {
    let gate = Gate::new();
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let server = Server::start(builder().exporter(backend.clone())).await;
    let sent = server
        .grpc()
        .header("grpc-timeout", "50m")
        .body(Full::new(frame(0, &request([1]).encode_to_vec())));
    let answer = server.send_h2(sent.unwrap()).await;
    assert_eq!(answer.code(), 4);
    // Nobody tries any more.
    assert_eq!(gate.waiting(), 0);
    gate.open();
    assert!(backend.accepted().is_empty());
    assert_eq!(server.stats().spans.failed, 1);
    server.assert_settled();
}

#[tokio::test]
async fn without_a_deadline_of_the_callers_there_is_ours() {
    let (gate, short) = (Gate::new(), Duration::from_millis(50));
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let limits = Limits::new().timeout(short);
    let server = Server::start(builder().exporter(backend).limits(limits)).await;
    let body = Full::new(Bytes::from(request([1]).encode_to_vec()));
    let sent = server.http("application/x-protobuf").body(body).unwrap();
    assert_eq!(server.send(sent).await.status, 504);
    server.assert_settled();
}

/// What is set is what is meant: the limit for callers is for callers.
#[tokio::test(start_paused = true)]
async fn our_own_time_may_be_longer_than_what_callers_can_ask_for() {
    use tower::ServiceExt;
    let reply = Reply::delayed(Duration::from_secs(100), Reply::ok());
    let limits = Limits::new().timeout(Duration::from_secs(200));
    let backend = MemoryTransport::always(reply);
    let forwarder = builder().exporter(backend).limits(limits).build();
    let sent = |timeout: Option<&'static str>| {
        let mut call = http::Request::post(crate::support::EXPORT)
            .header("authorization", "Bearer of-alice")
            .header("content-type", "application/grpc");
        if let Some(timeout) = timeout {
            call = call.header("grpc-timeout", timeout);
        }
        let body = Full::new(frame(0, &request([1]).encode_to_vec()));
        forwarder.grpc().oneshot(call.body(body).unwrap())
    };
    let head = sent(None).await.unwrap();
    assert_eq!(head.headers().get("grpc-status"), None);
    let head = sent(Some("150S")).await.unwrap();
    assert_eq!(head.headers()["grpc-status"], "4");
}

/// Far beyond what a clock can have.
#[tokio::test]
async fn limits_without_end_are_no_limits() {
    let limits = Limits::new()
        .timeout(Duration::MAX)
        .max_timeout(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .max_request_bytes(usize::MAX)
        .max_held_bytes(usize::MAX)
        .max_requests(usize::MAX)
        .max_spans(usize::MAX)
        .spans_per_second(u32::MAX, u32::MAX);
    let server = Server::start(builder().limits(limits)).await;
    server.assert_alive().await;
    let sent = server.grpc().header("grpc-timeout", "99999999H");
    let body = Full::new(frame(0, &request([1]).encode_to_vec()));
    let answer = server.send_h2(sent.body(body).unwrap()).await;
    assert_eq!(answer.code(), 0);
    server.assert_settled();
}

#[tokio::test]
async fn nonsense_of_the_backends_is_not_passed_on() {
    for (delay, told) in [
        (Duration::MAX, "3600"),
        (Duration::from_secs(u64::MAX), "3600"),
        (Duration::from_nanos(1), "1"),
    ] {
        let reply = Reply::refused(PeerStatus::Grpc(14)).retry_after(delay);
        let server = Server::start(builder().exporter(MemoryTransport::always(reply))).await;
        let body = Full::new(Bytes::from(request([1]).encode_to_vec()));
        let sent = server.http("application/x-protobuf").body(body).unwrap();
        let answer = server.send(sent).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some(told))
        );
    }
    // More spans than there were.
    let refusing = MemoryTransport::always(Reply::partial(7, "x"));
    let server = Server::start(builder().exporter(refusing)).await;
    let body = Full::new(Bytes::from(request(1..=2).encode_to_vec()));
    let sent = server.http("application/x-protobuf").body(body).unwrap();
    assert_eq!(
        &server.send(sent).await.body[..],
        b"\x0a\x05\x08\x02\x12\x01x"
    );
    assert_eq!(server.stats().spans.rejected, 2);
    server.assert_settled();
}

#[tokio::test]
async fn a_caller_cannot_ask_for_any_time() {
    let (gate, short) = (Gate::new(), Duration::from_millis(50));
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let limits = Limits::new().max_timeout(short);
    let server = Server::start(builder().exporter(backend).limits(limits)).await;
    let sent = server.grpc().header("grpc-timeout", "99999999H");
    let body = Full::new(frame(0, &request([1]).encode_to_vec()));
    assert_eq!(server.send_h2(sent.body(body).unwrap()).await.code(), 4);
    server.assert_settled();
}

#[tokio::test]
async fn a_caller_that_leaves_is_counted_and_nobody_tries_any_more() {
    let gate = Gate::new();
    let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let server = Server::start(builder().exporter(backend.clone())).await;
    let mut client = server.tonic().await;
    let call = tokio::spawn(async move { client.export(tonic_request(request(1..=4))).await });
    server.until(|stats| stats.spans.in_flight == 4).await;
    call.abort();
    let stats = server.until(|stats| stats.requests.in_flight == 0).await;
    assert_eq!((stats.requests.cancelled, stats.spans.cancelled), (1, 4));
    assert_eq!(gate.waiting(), 0);
    server.assert_settled();
}

#[tokio::test]
async fn what_was_delivered_of_a_request_that_failed_is_counted_so() {
    // Through an exporter that splits: one piece arrives, the other does not.
    let backend = MemoryTransport::new(move |attempt| {
        let spans = attempt.batch().spans();
        let number = attempt.request().resource_spans[0].scope_spans[0].spans[0].span_id[7];
        match (spans, number) {
            (2, _) => fails(ExportErrorKind::TooLarge),
            (_, 1) => Reply::ok(),
            _ => Reply::refused(PeerStatus::Http(401)),
        }
    });
    let (_processor, exporter) = towline_otlp::Exporter::builder()
        .transport(backend)
        .build()
        .unwrap();
    let server = Server::start(builder().exporter(exporter.service())).await;
    let body = Full::new(Bytes::from(request(1..=2).encode_to_vec()));
    let sent = server.http("application/x-protobuf").body(body).unwrap();
    let answer = server.send(sent).await;
    let spans = server.stats().spans;
    assert_eq!(answer.status, 500, "{answer:?} {spans:?}");
    assert_eq!((spans.forwarded, spans.failed), (1, 1));
    assert_eq!(exporter.stats().forwarded.exported, 1);
    server.assert_settled();
}
