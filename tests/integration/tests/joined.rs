//! A client and a server that have nothing in common but a connection: one trace, and both tell the truth
//! about the exchange.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use futures_util::future::join_all;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status, TraceFlags};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::Barrier;
use tower::{Layer, service_fn};
use towline_integration::{
    Body, Hop, Protocol, Server, ask, assert_joined, client, empty, exchange_bytes, full, get, read,
};
use towline_span::Outcome;
use towline_test_support::{assert_outcome, assert_root, attribute, text_attribute};

async fn hello(_request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(full("hello")))
}

/// The span of the client and that of the server, after one exchange.
async fn exchange(
    protocol: Protocol,
    ip: IpAddr,
    request: impl FnOnce(&Server) -> Request<Body>,
) -> (SpanData, SpanData, Server) {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = Server::start_on(ip, callee.server_layer().layer(service_fn(hello))).await;
    let layer = caller.client_layer().with_hyper_util();
    let client = layer.layer(client(protocol));
    let answer = read(ask(client, request(&server)).await).await;
    assert_eq!(answer.head.version, protocol.version());
    assert_eq!(answer.data, "hello");
    (caller.only().await, callee.only().await, server)
}

fn request(server: &Server) -> Request<Body> {
    Request::get(server.uri("/users/42?q=abc&sig=secret"))
        .header("user-agent", "test/1")
        .body(empty())
        .unwrap()
}

#[track_caller]
fn assert_attributes(span: &SpanData, expected: &[(&'static str, Value)]) {
    let sorted = |pairs: Vec<(String, Value)>| {
        let mut pairs = pairs;
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs
    };
    let found = span.attributes.iter();
    let found = found.map(|pair| (pair.key.to_string(), pair.value.clone()));
    let expected = expected.iter();
    let expected = expected.map(|(key, value)| ((*key).to_owned(), value.clone()));
    assert_eq!(sorted(found.collect()), sorted(expected.collect()));
}

async fn attributes_on_both_sides(protocol: Protocol, ip: IpAddr) {
    let (client, server, at) = exchange(protocol, ip, request).await;
    let port = i64::from(at.address().port());
    let host = ip.to_string();
    let peer_port = attribute(&server, "network.peer.port").unwrap();
    assert!(matches!(peer_port, Value::I64(1..=65535)), "{peer_port:?}");
    assert_ne!(peer_port, port.into());

    assert_attributes(
        &client,
        &[
            ("http.request.method", "GET".into()),
            ("http.response.status_code", 200.into()),
            ("network.peer.address", host.clone().into()),
            ("network.peer.port", port.into()),
            ("network.protocol.version", protocol.name().into()),
            ("server.address", host.clone().into()),
            ("server.port", port.into()),
            (
                "url.full",
                format!("{}", at.uri("/users/42?q=abc&sig=REDACTED")).into(),
            ),
        ],
    );
    assert_attributes(
        &server,
        &[
            ("client.address", host.clone().into()),
            ("http.request.method", "GET".into()),
            ("http.response.status_code", 200.into()),
            ("network.peer.address", host.clone().into()),
            ("network.peer.port", peer_port),
            ("network.protocol.version", protocol.name().into()),
            ("server.address", host.into()),
            ("server.port", port.into()),
            ("url.path", "/users/42".into()),
            ("url.query", "q=abc&sig=REDACTED".into()),
            ("url.scheme", "http".into()),
            ("user_agent.original", "test/1".into()),
        ],
    );
}

#[tokio::test]
async fn client_and_server_are_one_trace() {
    for protocol in Protocol::ALL {
        let (client, server, _at) = exchange(protocol, Ipv4Addr::LOCALHOST.into(), request).await;
        assert_root(&client);
        assert_joined(&server, &client);
        assert_eq!(
            (&client.span_kind, &server.span_kind),
            (&SpanKind::Client, &SpanKind::Server)
        );
        assert_eq!((client.name.as_ref(), server.name.as_ref()), ("GET", "GET"));
        for span in [&client, &server] {
            assert_outcome(span, Outcome::Completed);
            assert_eq!(span.status, Status::Unset);
        }
        // The client began the trace, with a random id, and the wire has kept the flag that says so.
        assert_eq!(server.span_context.trace_flags(), TraceFlags::new(0x03));
    }
}

#[tokio::test]
async fn both_sides_say_all_that_can_be_known_over_http_1() {
    attributes_on_both_sides(Protocol::Http1, Ipv4Addr::LOCALHOST.into()).await;
}

#[tokio::test]
async fn both_sides_say_all_that_can_be_known_over_http_2() {
    attributes_on_both_sides(Protocol::Http2, Ipv4Addr::LOCALHOST.into()).await;
}

#[tokio::test]
async fn ipv6_addresses_are_without_brackets() {
    for protocol in Protocol::ALL {
        attributes_on_both_sides(protocol, Ipv6Addr::LOCALHOST.into()).await;
    }
}

#[tokio::test]
async fn the_server_s_address_is_what_the_caller_asked_for() {
    for protocol in Protocol::ALL {
        let (client, server, at) = exchange(protocol, Ipv4Addr::LOCALHOST.into(), |server| {
            let uri = format!("http://localhost:{}/", server.address().port());
            Request::get(uri).body(empty()).unwrap()
        })
        .await;
        for span in [client, server] {
            assert_eq!(
                text_attribute(&span, "server.address").unwrap(),
                "localhost"
            );
            assert_eq!(
                attribute(&span, "server.port"),
                Some(i64::from(at.address().port()).into())
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_method_is_other_and_told_as_it_was() {
    for protocol in Protocol::ALL {
        let (client, server, _at) = exchange(protocol, Ipv4Addr::LOCALHOST.into(), |server| {
            let method = Method::from_bytes(b"FROBNICATE").unwrap();
            Request::builder()
                .method(method)
                .uri(server.uri("/"))
                .body(empty())
                .unwrap()
        })
        .await;
        for span in [client, server] {
            assert_eq!(span.name, "HTTP");
            assert_eq!(
                text_attribute(&span, "http.request.method").unwrap(),
                "_OTHER"
            );
            assert_eq!(
                text_attribute(&span, "http.request.method_original").unwrap(),
                "FROBNICATE"
            );
        }
    }
}

#[tokio::test]
async fn an_error_status_is_an_error_to_the_side_that_it_is_one_for() {
    for (status, server_error) in [(404, None), (500, Some("500")), (503, Some("503"))] {
        for protocol in Protocol::ALL {
            let (caller, callee) = (Hop::always(), Hop::always());
            let answer = service_fn(move |_request: Request<Incoming>| async move {
                Response::builder().status(status).body(full("no"))
            });
            let server = Server::start(callee.server_layer().layer(answer)).await;
            let client = caller.client_layer().layer(client(protocol));
            let request = Request::get(server.uri("/")).body(empty()).unwrap();
            read(ask(client, request).await).await;

            let (client, server) = (caller.only().await, callee.only().await);
            let client_error = Some(status.to_string());
            for (span, error) in [(client, client_error.as_deref()), (server, server_error)] {
                assert_outcome(&span, Outcome::Completed);
                assert_eq!(
                    attribute(&span, "http.response.status_code"),
                    Some(i64::from(status).into())
                );
                assert_eq!(text_attribute(&span, "error.type").as_deref(), error);
                assert_eq!(matches!(span.status, Status::Error { .. }), error.is_some());
            }
        }
    }
}

#[tokio::test]
async fn each_request_on_a_connection_is_a_span_of_its_own_caller() {
    let callee = Hop::never();
    let server = Server::start(callee.server_layer().layer(service_fn(hello))).await;
    let traceparents = [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ];
    // The second is on the wire before the first is answered; the third has no caller to speak of.
    let [first, second] = traceparents;
    let answers = exchange_bytes(
        server.address(),
        &format!(
            "GET /1 HTTP/1.1\r\nhost: h\r\ntraceparent: {first}\r\n\r\n\
             GET /2 HTTP/1.1\r\nhost: h\r\ntraceparent: {second}\r\n\r\n\
             GET /3 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
        ),
    )
    .await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);

    let spans = callee.ended(2).await;
    for (n, (span, traceparent)) in spans.iter().zip(traceparents).enumerate() {
        let trace_id = span.span_context.trace_id();
        let parent = span.parent_span_id;
        assert_eq!(format!("00-{trace_id}-{parent}-01"), traceparent);
        assert_eq!(
            text_attribute(span, "url.path").unwrap(),
            format!("/{}", n + 1)
        );
    }
}

#[tokio::test]
async fn requests_that_share_a_connection_at_the_same_time_do_not_share_a_trace() {
    let (caller, callee) = (Hop::always(), Hop::always());
    // Nobody is answered before all have come.
    let barrier = Arc::new(Barrier::new(STREAMS));
    let meet = service_fn(move |request: Request<Incoming>| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Ok::<_, Infallible>(Response::new(full(request.uri().path().to_owned())))
        }
    });
    let server = Server::start(callee.server_layer().layer(meet)).await;
    let client = caller.client_layer().layer(client(Protocol::Http2));
    let requests = (0..STREAMS).map(|n| {
        let (client, uri) = (client.clone(), server.uri(&format!("/{n}")));
        async move {
            let answer = read(ask(client, get(uri)).await).await;
            assert_eq!(answer.data, format!("/{n}"));
        }
    });
    join_all(requests).await;

    let (clients, servers) = (caller.ended(STREAMS).await, callee.ended(STREAMS).await);
    let traces = |spans: &[SpanData]| -> BTreeSet<_> {
        let ids = spans.iter().map(|span| span.span_context.trace_id());
        ids.map(|id| id.to_string()).collect()
    };
    assert_eq!(traces(&clients).len(), STREAMS);
    for server in &servers {
        let trace_id = server.span_context.trace_id();
        let client = clients
            .iter()
            .find(|span| span.span_context.trace_id() == trace_id);
        let client = client.expect("its client's span is there");
        assert_joined(server, client);
        let (path, url) = (
            text_attribute(server, "url.path"),
            text_attribute(client, "url.full"),
        );
        assert!(url.unwrap().ends_with(&path.unwrap()));
    }
}

const STREAMS: usize = 20;
