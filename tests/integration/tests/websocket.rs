//! WebSockets of axum under our layers, opened over HTTP/1.1 and over HTTP/2.

use axum::Router;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use hyper::ext::Protocol as ConnectProtocol;
use hyper_util::rt::TokioIo;
use opentelemetry_sdk::trace::SpanData;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::Layer;
use towline_integration::{
    Body, Hop, Protocol, Server, ask, assert_joined, client, empty, get, proxy, read, within,
};
use towline_span::Outcome;
use towline_test_support::{Caller, assert_child_of, assert_outcome};

/// An app whose socket echoes until it is closed.
fn app(hop: &Hop) -> Router {
    async fn echo(mut socket: WebSocket) {
        // A close is answered by axum itself.
        while let Some(Ok(message)) = socket.recv().await {
            if !matches!(message, ws::Message::Close(_)) {
                socket.send(message).await.unwrap();
            }
        }
    }
    Router::new()
        .route(
            "/rooms/{room}",
            any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)),
        )
        .route("/", any(async || "no socket here"))
        .layer(hop.server_layer().with_axum().with_query_context())
}

fn handshake() -> http::request::Builder {
    Request::builder()
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
}

async fn converse<B: Send + 'static>(response: Response<B>) {
    let upgraded = within(hyper::upgrade::on(response)).await.unwrap();
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    for text in ["ahoy", "fare well"] {
        within(socket.send(Message::text(text))).await.unwrap();
        let answer = within(socket.next()).await.unwrap().unwrap();
        assert_eq!(answer, Message::text(text));
    }
    within(socket.close(None)).await.unwrap();
    while let Some(message) = within(socket.next()).await {
        assert!(message.unwrap().is_close());
    }
}

#[track_caller]
fn assert_handshake(client: &SpanData, server: &SpanData, name: &str) {
    assert_joined(server, client);
    assert_eq!(server.name, name);
    assert_outcome(client, Outcome::Completed);
    assert_outcome(server, Outcome::Completed);
}

#[tokio::test]
async fn a_websocket_over_http_1_is_a_span_as_long_as_its_handshake() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = Server::start(app(&callee)).await;
    let client = caller.client_layer().layer(client(Protocol::Http1));
    let request = handshake()
        .uri(server.uri("/rooms/lobby"))
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .body(empty())
        .unwrap();
    let response = ask(client, request).await;
    assert_eq!(
        response.headers()[SEC_WEBSOCKET_ACCEPT],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_handshake(
        &caller.only().await,
        &callee.only().await,
        "GET /rooms/{room}",
    );
    converse(response).await;
}

/// As a browser does it, which takes a URL and no headers.
#[tokio::test]
async fn a_websocket_joins_the_trace_in_its_url() {
    let (caller, callee) = (Caller::sampled(), Hop::always());
    let server = Server::start(app(&callee)).await;
    let path = format!("/rooms/lobby?traceparent={}", caller.traceparent());
    let request = handshake()
        .uri(server.uri(&path))
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .body(empty())
        .unwrap();
    let response = ask(client::<Body>(Protocol::Http1), request).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_child_of(&callee.only().await, &caller.span_context());
    converse(response).await;
}

#[tokio::test]
async fn a_websocket_works_through_a_proxy() {
    let (hop, callee) = (Hop::always(), Hop::always());
    let upstream = Server::start(app(&callee)).await;
    let forward = hop.client_layer().layer(client(Protocol::Http1));
    let proxy = proxy(forward, upstream.address(), Protocol::Http1);
    let proxy = Server::start(hop.server_layer().layer(proxy)).await;
    let request = handshake()
        .uri(proxy.uri("/rooms/lobby"))
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .body(empty())
        .unwrap();
    let response = ask(client::<Body>(Protocol::Http1), request).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let (server, client) = hop.server_and_client().await;
    assert_child_of(&client, &server.span_context);
    assert_handshake(&client, &callee.only().await, "GET /rooms/{room}");
    converse(response).await;
}

#[tokio::test]
async fn a_websocket_over_http_2_is_a_span_as_long_as_its_handshake() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = Server::start(app(&callee)).await;
    let hyper = client(Protocol::Http2);
    // An exchange first: a client has to know that the server takes `:protocol`.
    read(ask(hyper.clone(), get(server.uri("/"))).await).await;
    callee.ended(1).await;

    let request = handshake()
        .method(Method::CONNECT)
        .uri(server.uri("/rooms/lobby"))
        .extension(ConnectProtocol::from_static("websocket"))
        .body(empty())
        .unwrap();
    let response = ask(caller.client_layer().layer(hyper), request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let servers = callee.ended(2).await;
    assert_handshake(&caller.only().await, &servers[1], "CONNECT /rooms/{room}");
    converse(response).await;
}
