//! Callers that go away: every span on the way ends, once, and says how far it got.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::net::Shutdown;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use towline_integration::{
    Body, Hop, Protocol, Server, ask, assert_joined, assert_nested, client, get, proxy, scripted,
    within,
};
use towline_span::Outcome;
use towline_test_support::{BodyStep, assert_outcome, attribute};

/// A traced server that does not come to an end of its own.
struct Slow {
    hop: Hop,
    server: Server,
    called: mpsc::UnboundedReceiver<()>,
}

impl Slow {
    /// Never gives a head.
    async fn silent() -> Self {
        let (call, called) = mpsc::unbounded_channel();
        let handler = service_fn(move |_request: Request<Incoming>| {
            call.send(()).unwrap();
            pending::<Result<Response<Body>, Infallible>>()
        });
        let hop = Hop::always();
        let server = Server::start(hop.server_layer().layer(handler)).await;
        Self {
            hop,
            server,
            called,
        }
    }

    /// Gives a head and one frame, and no more.
    async fn stalling() -> Self {
        let (call, called) = mpsc::unbounded_channel();
        let handler = service_fn(move |_request: Request<Incoming>| {
            call.send(()).unwrap();
            let (body, _probe) = scripted([BodyStep::data("first"), BodyStep::Hang]);
            ready(Ok::<_, Infallible>(Response::new(body)))
        });
        let hop = Hop::always();
        let server = Server::start(hop.server_layer().layer(handler)).await;
        Self {
            hop,
            server,
            called,
        }
    }

    async fn called(&mut self) {
        within(self.called.recv()).await.unwrap();
    }
}

#[track_caller]
fn assert_before_response(span: &SpanData) {
    assert_outcome(span, Outcome::CancelledBeforeResponse);
    assert_eq!(attribute(span, "http.response.status_code"), None);
    assert_eq!(attribute(span, "error.type"), None);
    assert_eq!(span.status, Status::Unset);
}

#[track_caller]
fn assert_during_body(span: &SpanData) {
    assert_outcome(span, Outcome::CancelledDuringBody);
    assert_eq!(
        attribute(span, "http.response.status_code"),
        Some(200.into())
    );
    assert_eq!(attribute(span, "error.type"), None);
    assert_eq!(span.status, Status::Unset);
}

#[tokio::test]
async fn a_caller_that_gives_up_before_the_head_ends_both_spans() {
    for protocol in Protocol::ALL {
        let (caller, mut slow) = (Hop::always(), Slow::silent().await);
        let client = caller.client_layer().layer(client(protocol));
        let asking = tokio::spawn(client.oneshot(get(slow.server.uri("/"))));
        slow.called().await;
        asking.abort();
        within(slow.server.idle()).await;

        let (client, server) = (caller.only().await, slow.hop.only().await);
        assert_joined(&server, &client);
        assert_before_response(&client);
        assert_before_response(&server);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_during_the_body_ends_both_spans() {
    for protocol in Protocol::ALL {
        let (caller, slow) = (Hop::always(), Slow::stalling().await);
        let client = caller.client_layer().layer(client(protocol));
        let mut response = ask(client, get(slow.server.uri("/"))).await;
        let frame = within(response.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "first");
        drop(response);
        within(slow.server.idle()).await;

        let (client, server) = (caller.only().await, slow.hop.only().await);
        assert_joined(&server, &client);
        assert_during_body(&client);
        assert_during_body(&server);
    }
}

#[tokio::test]
async fn a_socket_that_closes_before_the_head_ends_the_span() {
    let mut slow = Slow::silent().await;
    let mut socket = TcpStream::connect(slow.server.address()).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    slow.called().await;
    drop(socket);
    within(slow.server.idle()).await;
    assert_before_response(&slow.hop.only().await);
}

#[tokio::test]
async fn a_socket_that_closes_during_the_body_ends_the_span() {
    let slow = Slow::stalling().await;
    let mut socket = TcpStream::connect(slow.server.address()).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"first\r\n") {
        within(socket.read_buf(&mut seen)).await.unwrap();
    }
    drop(socket);
    within(slow.server.idle()).await;
    assert_during_body(&slow.hop.only().await);
}

#[tokio::test]
async fn an_http_2_connection_that_breaks_ends_the_spans_of_all_its_streams() {
    let mut slow = Slow::silent().await;
    let socket = TcpStream::connect(slow.server.address()).await.unwrap();
    let socket = socket.into_std().unwrap();
    let plug = socket.try_clone().unwrap();
    let socket = TokioIo::new(TcpStream::from_std(socket).unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
    let (mut sender, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    let requests = [1, 2, 3].map(|_| sender.send_request(get(slow.server.uri("/"))));
    for _ in &requests {
        slow.called().await;
    }
    plug.shutdown(Shutdown::Both).unwrap();
    within(slow.server.idle()).await;
    for span in slow.hop.ended(requests.len()).await {
        assert_before_response(&span);
    }
}

#[tokio::test]
async fn a_response_that_nobody_reads_is_a_cancelled_span_at_the_caller() {
    for protocol in Protocol::ALL {
        let (caller, slow) = (Hop::always(), Slow::stalling().await);
        let client = caller.client_layer().layer(client(protocol));
        drop(ask(client, get(slow.server.uri("/"))).await);
        assert_during_body(&caller.only().await);
    }
}

/// The spans of caller, proxy (server, client) and upstream, after a caller has gone away.
async fn through_a_proxy(
    below: Protocol,
    above: Protocol,
    mut upstream: Slow,
    read: Option<&'static str>,
) -> [SpanData; 4] {
    let (caller, hop) = (Hop::always(), Hop::always());
    let forward = hop.client_layer().layer(client(above));
    let proxy = proxy(forward, upstream.server.address(), above);
    let proxy = Server::start(hop.server_layer().layer(proxy)).await;
    let client = caller.client_layer().layer(client::<Body>(below));
    let request = get(proxy.uri("/"));
    match read {
        None => {
            let asking = tokio::spawn(client.oneshot(request));
            upstream.called().await;
            asking.abort();
        }
        Some(expected) => {
            let mut response = ask(client, request).await;
            let frame = within(response.frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), Bytes::from(expected));
        }
    }
    within(proxy.idle()).await;
    let last = upstream.hop.only().await;
    let (server, client) = hop.server_and_client().await;
    let first = caller.only().await;
    assert_joined(&server, &first);
    assert_nested(&client, &server);
    assert_joined(&last, &client);
    [first, server, client, last]
}

#[tokio::test]
async fn giving_up_before_the_head_goes_through_a_proxy_to_the_last_hop() {
    for below in Protocol::ALL {
        for above in Protocol::ALL {
            for span in through_a_proxy(below, above, Slow::silent().await, None).await {
                assert_before_response(&span);
            }
        }
    }
}

#[tokio::test]
async fn giving_up_during_the_body_goes_through_a_proxy_to_the_last_hop() {
    for below in Protocol::ALL {
        for above in Protocol::ALL {
            for span in through_a_proxy(below, above, Slow::stalling().await, Some("first")).await {
                assert_during_body(&span);
            }
        }
    }
}
