//! Connections that become something else: the spans end where HTTP does, and the bytes flow on.

use std::convert::Infallible;

use http::header::{CONNECTION, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use opentelemetry_sdk::trace::SpanData;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tower::{Layer, service_fn};
use towline_integration::{
    Body, Hop, Protocol, Server, ask, assert_joined, assert_nested, client, empty, full, proxy,
    read, scripted, within,
};
use towline_span::Outcome;
use towline_test_support::{BodyStep, assert_outcome, attribute};

/// Agrees to any upgrade and to any tunnel, and echoes what comes then.
async fn echo(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    // Nobody reads this body, and nobody may wait for its end.
    let mut response = Response::new(scripted([BodyStep::Hang]).0);
    if request.method() != Method::CONNECT {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .headers_mut()
            .insert(CONNECTION, "upgrade".parse().unwrap());
        response
            .headers_mut()
            .insert(UPGRADE, "echo".parse().unwrap());
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(echo_all(upgrade));
    Ok(response)
}

async fn echo_all(upgrade: OnUpgrade) {
    let (mut from, mut to) = split(TokioIo::new(upgrade.await.unwrap()));
    copy(&mut from, &mut to).await.unwrap();
    to.shutdown().await.unwrap();
}

/// Speaks, and is answered; hangs up, and is hung up on.
async fn converse(upgraded: Upgraded) {
    let mut tunnel = TokioIo::new(upgraded);
    for question in ["ping", "once more"] {
        tunnel.write_all(question.as_bytes()).await.unwrap();
        let mut answer = vec![0; question.len()];
        within(tunnel.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, question.as_bytes());
    }
    tunnel.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within(tunnel.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
}

#[track_caller]
fn assert_completed(span: &SpanData, status: i64) {
    assert_outcome(span, Outcome::Completed);
    assert_eq!(
        attribute(span, "http.response.status_code"),
        Some(status.into())
    );
    assert_eq!(attribute(span, "error.type"), None);
}

fn upgrade_request(server: &Server) -> Request<Body> {
    Request::get(server.uri("/"))
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "echo")
        .body(empty())
        .unwrap()
}

#[tokio::test]
async fn an_upgrade_ends_both_spans_at_the_head() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = Server::start(callee.server_layer().layer(service_fn(echo))).await;
    let client = caller.client_layer().layer(client(Protocol::Http1));
    let response = ask(client, upgrade_request(&server)).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);

    // The connection is open and nothing has been said on it.
    let (client, server) = (caller.only().await, callee.only().await);
    assert_joined(&server, &client);
    assert_completed(&client, 101);
    assert_completed(&server, 101);
    converse(within(hyper::upgrade::on(response)).await.unwrap()).await;
}

#[tokio::test]
async fn an_upgrade_goes_through_a_proxy_and_ends_every_span_at_the_head() {
    let (caller, hop, callee) = (Hop::always(), Hop::always(), Hop::always());
    let upstream = Server::start(callee.server_layer().layer(service_fn(echo))).await;
    let forward = hop.client_layer().layer(client(Protocol::Http1));
    let proxy = proxy(forward, upstream.address(), Protocol::Http1);
    let proxy = Server::start(hop.server_layer().layer(proxy)).await;
    let client = caller.client_layer().layer(client(Protocol::Http1));
    let response = ask(client, upgrade_request(&proxy)).await;
    assert_eq!(response.headers()[UPGRADE], "echo");

    let first = caller.only().await;
    let (server, client) = hop.server_and_client().await;
    let last = callee.only().await;
    assert_joined(&server, &first);
    assert_nested(&client, &server);
    assert_joined(&last, &client);
    for span in [&first, &server, &client, &last] {
        assert_completed(span, 101);
    }
    converse(within(hyper::upgrade::on(response)).await.unwrap()).await;
}

#[tokio::test]
async fn a_tunnel_ends_both_spans_at_the_head() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let server = Server::start(callee.server_layer().layer(service_fn(echo))).await;
        let client = caller.client_layer().layer(client(protocol));
        let request = Request::connect(server.uri("")).body(empty()).unwrap();
        let response = ask(client, request).await;
        assert_eq!(response.status(), StatusCode::OK);

        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        for span in [&client, &server] {
            assert_eq!(span.name, "CONNECT");
            assert_completed(span, 200);
            assert_eq!(attribute(span, "server.address"), Some("127.0.0.1".into()));
        }
        converse(within(hyper::upgrade::on(response)).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_tunnel_that_is_refused_is_an_exchange_like_any_other() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let handler = service_fn(|_request: Request<Incoming>| async {
            let response = Response::builder().status(StatusCode::FORBIDDEN);
            response.body(full("not there"))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        let request = Request::connect(server.uri("")).body(empty()).unwrap();
        let response = ask(client, request).await;
        assert_eq!(caller.finished().len(), 0, "{protocol:?}");
        assert_eq!(read(response).await.data, "not there");
        for hop in [caller, callee] {
            let span = hop.only().await;
            assert_outcome(&span, Outcome::Completed);
            assert_eq!(
                attribute(&span, "http.response.status_code"),
                Some(403.into())
            );
        }
    }
}
