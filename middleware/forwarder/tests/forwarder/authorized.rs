//! Who gets in, and what those hear who do not.

use bytes::Bytes;
use http::request::Parts;
use http_body_util::Full;
use prost::Message;
use tower::ServiceExt;
use towline_forwarder::{AnyRole, Forwarder, Identity, OnRefusal, Refusal};
use towline_test_support::LogCounter;
use towline_test_support::transport::MemoryTransport;
use tracing::Level;

use crate::support::{EXPORT, Pieces, Server, builder, frame, request};

/// Who the header says; those whose name ends in `!` may not.
fn by_header(parts: &Parts) -> Result<Identity, Refusal> {
    let name = parts
        .headers
        .get("user")
        .and_then(|name| name.to_str().ok());
    let identity = Identity::new(name.ok_or_else(Refusal::unauthenticated)?)?;
    match identity.as_str().ends_with('!') {
        true => Err(Refusal::permission_denied(identity)),
        false => Ok(identity),
    }
}

/// A body that must not be read: it never ends, and nobody would get an answer.
fn unread() -> Pieces {
    Pieces {
        pieces: vec![],
        hangs: true,
    }
}

#[tokio::test]
async fn whoever_may_not_is_told_so_without_reading_a_byte() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone()).authorize(by_header)).await;
    let long = "x".repeat(Identity::MAX_BYTES + 1);
    for (user, code, status) in [
        (None, 16, 401),
        (Some(""), 16, 401),
        (Some(&long[..]), 16, 401),
        (Some("mallory!"), 7, 403),
    ] {
        let user = user.map(|user| http::HeaderValue::from_str(user).unwrap());
        let mut call = server.grpc().body(unread()).unwrap();
        let mut post = server.http("application/json").body(unread()).unwrap();
        if let Some(user) = &user {
            call.headers_mut().insert("user", user.clone());
            post.headers_mut().insert("user", user.clone());
        }
        let answer = server.send_h2(call).await;
        assert_eq!(answer.code(), code, "{user:?}");
        let answer = server.send(post).await;
        assert_eq!(answer.status, status, "{user:?}");
    }
    assert!(backend.attempts().is_empty());
    let refused = server.stats().requests.refused;
    assert_eq!((refused.unauthenticated, refused.unauthorized), (6, 2));
    server.assert_settled();
}

#[tokio::test]
async fn a_401_says_what_is_asked_for() {
    let server = Server::start(builder()).await;
    let post = http::Request::post(server.url("/v1/traces"))
        .header("content-type", "application/json")
        .header("authorization", "Bearer of-mallory");
    let answer = server.send(post.body(unread()).unwrap()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn the_softer_choice_answers_success_and_forwards_nothing() {
    let backend = MemoryTransport::accepting();
    let builder = builder().exporter(backend.clone()).authorize(by_header);
    let server = Server::start(builder.on_refusal(OnRefusal::Discard)).await;
    let call = server.grpc().header("user", "mallory!");
    let answer = server.send_h2(call.body(unread()).unwrap()).await;
    assert_eq!(answer.code(), 0);
    let answer = server
        .send(server.http("application/json").body(unread()).unwrap())
        .await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    // Whoever may is not concerned.
    let call = server.grpc().header("user", "alice");
    let body = Full::new(frame(0, &request([1]).encode_to_vec()));
    assert_eq!(server.send_h2(call.body(body).unwrap()).await.code(), 0);
    assert_eq!(backend.accepted().len(), 1);
    let requests = server.stats().requests;
    assert_eq!((requests.refused.total(), requests.acknowledged), (2, 1));
    server.assert_settled();
}

#[tokio::test]
async fn an_identity_from_a_layer_before_is_believed() {
    let backend = MemoryTransport::accepting();
    let forwarder = Forwarder::builder()
        .exporter(backend.clone())
        .authorize(AnyRole::new(["Node"]))
        .build();
    for (identity, status) in [
        (
            Some(Identity::new("host").unwrap().with_role("Node").unwrap()),
            200,
        ),
        (Some(Identity::new("Node").unwrap()), 403),
        // Neither less of it nor more, nor another one only.
        (
            Some(Identity::new("x").unwrap().with_role("Nod").unwrap()),
            403,
        ),
        (
            Some(Identity::new("x").unwrap().with_role("Nodes").unwrap()),
            403,
        ),
        (None, 401),
    ] {
        let mut post = http::Request::post("/v1/traces")
            .header("content-type", "application/x-protobuf")
            .body(Full::new(Bytes::from(request([1]).encode_to_vec())))
            .unwrap();
        if let Some(identity) = identity {
            post.extensions_mut().insert(identity);
        }
        let response = forwarder.http().oneshot(post).await.unwrap();
        assert_eq!(response.status(), status);
    }
    let batch = backend.attempts()[0].batch().clone();
    assert!(String::from_utf8_lossy(batch.bytes()).contains("host:Node"));
}

/// On one thread, so that the log can be watched.
#[test]
fn one_warning_for_each_sender_however_often_it_comes() {
    let logs = LogCounter::new();
    logs.observe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let forwarder = Forwarder::builder().authorize(by_header).build();
            for user in ["mallory!", "", "eve!", ""].repeat(100) {
                let call = http::Request::post(EXPORT)
                    .header("content-type", "application/grpc")
                    .header("user", user)
                    .body(unread())
                    .unwrap();
                forwarder.grpc().oneshot(call).await.unwrap();
            }
        });
    });
    let lines = logs.lines_at(Level::WARN);
    assert_eq!(lines.len(), 3, "{lines:?}");
    // That there is no exporter, once.
    assert_eq!(logs.count(Level::INFO), 1);
    assert_eq!(logs.total(), 4);
}
