//! A span lasts from the first byte to the last, whichever way a body says where that is.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use tower::{Layer, service_fn};
use towline_integration::{
    Body, BodyError, Hop, HyperClient, Protocol, Server, any, ask, assert_joined, client, empty,
    exchange_bytes, full, get, read, scripted, within,
};
use towline_span::Outcome;
use towline_test_support::{BodyStep, Probe, ScriptedBody, assert_outcome, text_attribute};

/// A traced client, and a traced server that gives the same answer to everything, once.
struct Pair {
    caller: Hop,
    callee: Hop,
    server: Server,
    client: HyperClient,
}

type Traced<T> = towline_http::client::ResponseBody<T>;

impl Pair {
    async fn answering(protocol: Protocol, response: Response<Body>) -> Self {
        let (caller, callee) = (Hop::always(), Hop::always());
        let response = Arc::new(Mutex::new(Some(response)));
        let handler = service_fn(move |_request: Request<Incoming>| {
            let response = response.lock().unwrap().take();
            ready(Ok::<_, Infallible>(response.expect("one request")))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = client(protocol);
        Self {
            caller,
            callee,
            server,
            client,
        }
    }

    async fn ask(&self, request: Request<Body>) -> Response<Traced<Incoming>> {
        ask(
            self.caller.client_layer().layer(self.client.clone()),
            request,
        )
        .await
    }

    async fn get(&self) -> Response<Traced<Incoming>> {
        self.ask(get(self.server.uri("/"))).await
    }

    /// That there is one span on each side, that they are joined and both complete.
    async fn assert_completed(self) {
        let (client, server) = (self.caller.only().await, self.callee.only().await);
        assert_joined(&server, &client);
        assert_outcome(&client, Outcome::Completed);
        assert_outcome(&server, Outcome::Completed);
    }
}

fn streamed() -> (Sender<Bytes, BodyError>, Body) {
    let (sender, body) = Channel::new(1);
    (sender, body.boxed_unsync())
}

#[tokio::test]
async fn the_spans_end_after_the_last_byte_and_not_before() {
    for protocol in Protocol::ALL {
        let (mut sender, body) = streamed();
        let pair = Pair::answering(protocol, Response::new(body)).await;
        let mut response = pair.get().await;
        sender.send_data("first".into()).await.unwrap();
        let frame = within(response.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "first");
        assert_eq!(
            (pair.caller.finished().len(), pair.callee.finished().len()),
            (0, 0)
        );

        let before_the_last = SystemTime::now();
        sender.send_data("last".into()).await.unwrap();
        drop(sender);
        assert_eq!(read(response).await.data, "last");
        for hop in [&pair.caller, &pair.callee] {
            assert!(hop.only().await.end_time >= before_the_last);
        }
        pair.assert_completed().await;
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_streamed_to_its_end() {
    for (protocol, chunked) in [(Protocol::Http1, true), (Protocol::Http2, false)] {
        let steps = [
            BodyStep::data("one,"),
            BodyStep::Pending,
            BodyStep::data("two"),
        ];
        let (body, _probe) = scripted(steps);
        let pair = Pair::answering(protocol, Response::new(body)).await;
        let answer = read(pair.get().await).await;
        assert_eq!(answer.data, "one,two");
        assert_eq!(answer.head.headers.contains_key(TRANSFER_ENCODING), chunked);
        assert!(!answer.head.headers.contains_key(CONTENT_LENGTH));
        pair.assert_completed().await;
    }
}

#[tokio::test]
async fn trailers_are_passed_on_and_are_the_end() {
    for protocol in Protocol::ALL {
        let (body, _probe) = scripted([BodyStep::data("data"), BodyStep::trailer("x-sum", "42")]);
        let response = Response::builder()
            .header(TRAILER, "x-sum")
            .body(body)
            .unwrap();
        let pair = Pair::answering(protocol, response).await;
        // Without it HTTP/1.1 sends none.
        let request = Request::get(pair.server.uri("/")).header(TE, "trailers");
        let answer = read(pair.ask(request.body(empty()).unwrap()).await).await;
        assert_eq!(answer.data, "data");
        let expected = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from(42))]);
        assert_eq!(answer.trailers, Some(expected));
        pair.assert_completed().await;
    }
}

#[tokio::test]
async fn heads_that_are_all_there_is_end_both_spans() {
    for protocol in Protocol::ALL {
        for (method, status) in [
            (Method::HEAD, StatusCode::OK),
            (Method::GET, StatusCode::NO_CONTENT),
            (Method::GET, StatusCode::NOT_MODIFIED),
        ] {
            // A body that does not say that it is empty.
            let (body, _probe) = scripted([]);
            let mut response = Response::new(body);
            *response.status_mut() = status;
            if method == Method::HEAD {
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(5));
            }
            let pair = Pair::answering(protocol, response).await;
            let request = Request::builder().method(&method).uri(pair.server.uri("/"));
            let response = pair.ask(request.body(empty()).unwrap()).await;
            assert_eq!(response.status(), status, "{method}");
            let length = response.headers().get(CONTENT_LENGTH);
            assert_eq!(
                length.is_some(),
                method == Method::HEAD,
                "{method} {status}"
            );
            // Nobody has read the body, or ever will.
            assert_eq!(
                pair.caller.finished().len(),
                1,
                "{protocol:?} {method} {status}"
            );
            assert_eq!(
                pair.callee.finished().len(),
                1,
                "{protocol:?} {method} {status}"
            );
            drop(response);
            pair.assert_completed().await;
        }
    }
}

#[tokio::test]
async fn an_empty_body_ends_both_spans_at_the_head() {
    for protocol in Protocol::ALL {
        let pair = Pair::answering(protocol, Response::new(empty())).await;
        let response = pair.get().await;
        // Nobody has asked it for a frame.
        assert_eq!(
            (pair.caller.finished().len(), pair.callee.finished().len()),
            (1, 1)
        );
        drop(response);
        pair.assert_completed().await;
    }
}

#[tokio::test]
async fn a_body_that_the_server_drops_once_its_length_is_out_is_complete() {
    let probe = Probe::new();
    let body = ScriptedBody::new(&probe, [BodyStep::data("hello")]).announcing_size();
    let response = Response::new(any(body));
    let pair = Pair::answering(Protocol::Http1, response).await;
    let answer = read(pair.get().await).await;
    assert_eq!(answer.head.headers[CONTENT_LENGTH], "5");
    assert_eq!(answer.data, "hello");
    let (callee, server) = (pair.callee.clone(), pair.server);
    assert_outcome(&callee.only().await, Outcome::Completed);
    assert_outcome(&pair.caller.only().await, Outcome::Completed);
    // This is the case that it is about: the body was never asked for its end.
    assert_eq!((probe.polls(), probe.is_dropped()), (1, true));
    drop(server);
}

#[tokio::test]
async fn a_length_that_only_the_header_announces_is_believed() {
    let (body, probe) = scripted([BodyStep::data("hello"), BodyStep::Hang]);
    let response = Response::builder()
        .header(CONTENT_LENGTH, 5)
        .body(body)
        .unwrap();
    let pair = Pair::answering(Protocol::Http1, response).await;
    assert_eq!(read(pair.get().await).await.data, "hello");
    pair.assert_completed().await;
    assert_eq!((probe.polls(), probe.is_dropped()), (1, true));
}

#[tokio::test]
async fn a_caller_that_reads_the_announced_length_and_no_further_has_read_it_all() {
    for protocol in Protocol::ALL {
        let pair = Pair::answering(protocol, Response::new(full("hello"))).await;
        let mut response = pair.get().await;
        let frame = within(response.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
        drop(response);
        pair.assert_completed().await;
    }
}

#[tokio::test]
async fn a_response_to_http_1_0_ends_with_the_connection() {
    let (body, _probe) = scripted([BodyStep::data("one,"), BodyStep::data("two")]);
    let pair = Pair::answering(Protocol::Http1, Response::new(body)).await;
    let answer = exchange_bytes(pair.server.address(), "GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\none,two"), "{answer}");
    let span = pair.callee.only().await;
    assert_outcome(&span, Outcome::Completed);
    assert_eq!(
        text_attribute(&span, "network.protocol.version").unwrap(),
        "1.0"
    );
    // Without a `Host` it is not known what the caller asked for.
    assert_eq!(text_attribute(&span, "server.address"), None);
}

#[tokio::test]
async fn a_large_body_streams_both_ways_under_backpressure() {
    const FRAME: usize = 64 * 1024;
    const FRAMES: usize = 256;
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let echo = service_fn(|request: Request<Incoming>| {
            ready(Ok::<_, Infallible>(Response::new(request.into_body())))
        });
        let server = Server::start(callee.server_layer().layer(echo)).await;
        let (mut sender, body) = streamed();
        let request = Request::post(server.uri("/")).body(body).unwrap();
        let upload = tokio::spawn(async move {
            for n in 0..FRAMES {
                sender.send_data(vec![n as u8; FRAME].into()).await.unwrap();
            }
        });
        let client = caller.client_layer().layer(client(protocol));
        let mut body = ask(client, request).await.into_body();
        let mut received = 0;
        while let Some(frame) = within(body.frame()).await {
            let data = frame.unwrap().into_data().unwrap();
            for (at, byte) in data.iter().enumerate() {
                assert_eq!(*byte, ((received + at) / FRAME) as u8);
            }
            received += data.len();
        }
        assert_eq!(received, FRAME * FRAMES);
        within(upload).await.unwrap();
        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        assert_outcome(&client, Outcome::Completed);
        assert_outcome(&server, Outcome::Completed);
    }
}
