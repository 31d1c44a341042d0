//! With the layers and without them a proxy sends the same, but for the trace context.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, DATE, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use tower::{Layer, service_fn};
use towline_integration::{
    Answer, Body, Hop, Protocol, RawServer, Server, ask, client, exchange_bytes, full, proxy, read,
    scripted,
};
use towline_test_support::BodyStep;

/// A proxy with both layers, or with neither.
async fn start(layers: Option<&Hop>, upstream: SocketAddr, protocol: Protocol) -> Server {
    match layers {
        None => Server::start(proxy(client(protocol), upstream, protocol)).await,
        Some(hop) => {
            let forward = hop.client_layer().layer(client(protocol));
            let proxy = proxy(forward, upstream, protocol);
            Server::start(hop.server_layer().layer(proxy)).await
        }
    }
}

/// What goes over the wire above a proxy and below it, for this request and that response.
async fn wires(layers: Option<&Hop>, request: &str, response: &str) -> (String, String) {
    let upstream = RawServer::answering(response).await;
    let proxy = start(layers, upstream.address(), Protocol::Http1).await;
    let answer = exchange_bytes(proxy.address(), request).await;
    (upstream.received().await, answer)
}

/// Takes out the one line that the layers add.
#[track_caller]
fn without_traceparent(request: &str) -> String {
    let (ours, rest): (Vec<_>, Vec<_>) = request
        .split_inclusive("\r\n")
        .partition(|line| line.starts_with("traceparent: "));
    assert_eq!(ours.len(), 1, "{request}");
    rest.concat()
}

const REQUESTS: [(&str, &str); 4] = [
    (
        "a plain one",
        "GET /users/42?q=%20a HTTP/1.1\r\nhost: users\r\nconnection: close\r\nx-a: 1\r\nx-a: 2\r\n\r\n",
    ),
    (
        "a body of a known length",
        "POST / HTTP/1.1\r\nhost: users\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
    ),
    (
        "a body in chunks",
        "POST / HTTP/1.1\r\nhost: users\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "one for the head",
        "HEAD / HTTP/1.1\r\nhost: users\r\nconnection: close\r\n\r\n",
    ),
];

const RESPONSES: [(&str, &str); 7] = [
    (
        "a body of a known length",
        "HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 5\r\nset-cookie: a\r\nset-cookie: b\r\n\r\nhello",
    ),
    (
        "a body in chunks",
        "HTTP/1.1 200 OK\r\ndate: then\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "trailers",
        "HTTP/1.1 200 OK\r\ndate: then\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n",
    ),
    (
        "a body up to the end of the connection",
        "HTTP/1.1 200 OK\r\ndate: then\r\n\r\nhello",
    ),
    (
        "an empty body",
        "HTTP/1.1 500 No\r\ndate: then\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "no body at all",
        "HTTP/1.1 204 No Content\r\ndate: then\r\n\r\n",
    ),
    (
        "nothing new",
        "HTTP/1.1 304 Not Modified\r\ndate: then\r\netag: \"1\"\r\ncontent-length: 5\r\n\r\n",
    ),
];

#[tokio::test]
async fn not_a_byte_is_different_over_http_1() {
    for (sent, request) in REQUESTS {
        for (answered, response) in RESPONSES {
            let case = format!("{sent}, answered with {answered}");
            // What follows the head of an answer to `HEAD` would be the next answer.
            let head = response.split_inclusive("\r\n\r\n").next().unwrap();
            let response = if request.starts_with("HEAD") {
                head
            } else {
                response
            };
            let (bare_above, bare_below) = wires(None, request, response).await;
            assert!(bare_below.starts_with("HTTP/1.1 "), "{case}: {bare_below}");

            for (hop, spans) in [(Hop::always(), 2), (Hop::never(), 0)] {
                let (above, below) = wires(Some(&hop), request, response).await;
                assert_eq!(without_traceparent(&above), bare_above, "{case}");
                assert_eq!(below, bare_below, "{case}");
                hop.ended(spans).await;
            }
            let (above, below) = wires(Some(&Hop::off()), request, response).await;
            assert_eq!(
                (above, below),
                (bare_above, bare_below),
                "{case}, switched off"
            );
        }
    }
}

#[tokio::test]
async fn the_trace_context_of_the_caller_goes_through_a_switched_off_proxy_as_it_is() {
    let context = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
                   tracestate: a=1\r\nbaggage: user=ada\r\n";
    let request = format!("GET / HTTP/1.1\r\nhost: users\r\nconnection: close\r\n{context}\r\n");
    let (_, response) = RESPONSES[0];
    let bare = wires(None, &request, response).await;
    assert_eq!(wires(Some(&Hop::off()), &request, response).await, bare);
}

/// What a caller is told by way of a proxy that speaks this protocol on both sides.
async fn answer(
    layers: Option<&Hop>,
    protocol: Protocol,
    method: &Method,
    respond: fn() -> Response<Body>,
) -> (HeaderMap, Answer) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let handler = service_fn(move |request: Request<Incoming>| {
        let mut headers = request.headers().clone();
        headers.remove("traceparent");
        tell.send(headers).unwrap();
        ready(Ok::<_, Infallible>(respond()))
    });
    let upstream = Server::start(handler).await;
    let proxy = start(layers, upstream.address(), protocol).await;
    let request = Request::builder()
        .method(method)
        .uri(proxy.uri("/"))
        .header(TE, "trailers")
        .header("x-a", "1")
        .body(full("question"))
        .unwrap();
    let mut answer = read(ask(client(protocol), request).await).await;
    answer.head.headers.remove(DATE);
    let mut headers = told.recv().await.unwrap();
    // Both have the port of this upstream, or of this proxy, in them.
    headers.remove("host");
    (headers, answer)
}

fn responses() -> [fn() -> Response<Body>; 4] {
    [
        || Response::new(full("hello")),
        || {
            let steps = [
                BodyStep::data("one,"),
                BodyStep::Pending,
                BodyStep::data("two"),
            ];
            Response::new(scripted(steps).0)
        },
        || {
            let (body, _probe) =
                scripted([BodyStep::data("data"), BodyStep::trailer("x-sum", "42")]);
            Response::builder()
                .header(TRAILER, "x-sum")
                .body(body)
                .unwrap()
        },
        || {
            let mut response = Response::new(full(""));
            *response.status_mut() = http::StatusCode::NOT_MODIFIED;
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(5));
            response
        },
    ]
}

#[tokio::test]
async fn heads_data_and_trailers_are_the_same_over_both_protocols() {
    for protocol in Protocol::ALL {
        for (n, respond) in responses().into_iter().enumerate() {
            for method in [Method::GET, Method::POST] {
                let (bare_headers, bare) = answer(None, protocol, &method, respond).await;
                for hop in [Hop::always(), Hop::never(), Hop::off()] {
                    let (headers, answer) = answer(Some(&hop), protocol, &method, respond).await;
                    let case = format!("{protocol:?} {method} {n}");
                    assert_eq!(headers, bare_headers, "{case}");
                    assert_eq!(answer.head.status, bare.head.status, "{case}");
                    assert_eq!(answer.head.version, bare.head.version, "{case}");
                    assert_eq!(answer.head.headers, bare.head.headers, "{case}");
                    assert_eq!(answer.data, bare.data, "{case}");
                    assert_eq!(answer.trailers, bare.trailers, "{case}");
                }
            }
        }
    }
}
