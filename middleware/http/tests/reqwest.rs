//! The client layer over a `reqwest::Client`, over real sockets.

#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use http::Request;
use opentelemetry_sdk::trace::SdkTracer;
use reqwest::Body;
use tower::{Layer, Service, ServiceExt};
use towline_http::client::TraceLayer;
use towline_http::client::reqwest::{Client, HttpClient};
use towline_span::Outcome;
use towline_test_support::{TestTracing, assert_outcome, attribute, text_attribute};

/// A server that answers one connection after the other with these bytes, and the heads that it is
/// sent.
fn serving(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let heads = answers.into_iter().map(|answer| {
            let (mut connection, _peer) = listener.accept().unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                connection.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        });
        heads.collect()
    });
    (address, server)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn traced(tracing: &TestTracing) -> Client<SdkTracer> {
    Client::new(plain(), &TraceLayer::from_spans(tracing.spans()))
}

fn traceparents(head: &str) -> Vec<&str> {
    head.lines()
        .filter_map(|line| line.strip_prefix("traceparent: "))
        .collect()
}

#[tokio::test]
async fn a_request_is_a_span_from_its_head_to_the_end_of_the_body() {
    let (address, server) = serving(vec![ok("Ada")]);
    let tracing = TestTracing::always();
    let request = plain()
        .get(format!("http://{address}/users/42?sig=x"))
        .header("traceparent", "stale")
        .build()
        .unwrap();
    let response = traced(&tracing).execute(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.url().path(), "/users/42");
    assert_eq!(response.headers()["content-length"], "3");
    assert_eq!(response.content_length(), Some(3));
    assert!(tracing.finished().is_empty());
    assert_eq!(response.text().await.unwrap(), "Ada");

    let span = tracing.only();
    assert_outcome(&span, Outcome::Completed);
    assert_eq!(
        text_attribute(&span, "url.full"),
        Some(format!("http://{address}/users/42?sig=REDACTED"))
    );
    assert_eq!(
        attribute(&span, "server.port"),
        Some(i64::from(address.port()).into())
    );
    assert_eq!(
        text_attribute(&span, "network.peer.address"),
        Some("127.0.0.1".to_owned())
    );
    let head = &server.join().unwrap()[0];
    let sent = format!(
        "00-{}-{}-03",
        span.span_context.trace_id(),
        span.span_context.span_id()
    );
    assert_eq!(traceparents(head), [sent]);
}

#[tokio::test]
async fn redirects_are_followed_inside_of_the_span() {
    let (last, second) = serving(vec![ok("here")]);
    let (first_address, first) = serving(vec![format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{last}/there\r\ncontent-length: 0\r\n\r\n"
    )]);
    let tracing = TestTracing::always();
    let request = plain().get(format!("http://{first_address}/")).build();
    let response = traced(&tracing).execute(request.unwrap()).await.unwrap();
    assert_eq!(response.url().as_str(), format!("http://{last}/there"));
    assert_eq!(response.text().await.unwrap(), "here");

    let span = tracing.only();
    assert_eq!(
        attribute(&span, "http.response.status_code"),
        Some(200.into())
    );
    let url = text_attribute(&span, "url.full");
    assert_eq!(url, Some(format!("http://{first_address}/")));
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!(traceparents(&first[0]), traceparents(&second[0]));
}

#[tokio::test]
async fn a_refused_connection_is_a_failed_span_and_the_error_comes_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let tracing = TestTracing::always();
    let request = plain().get(format!("http://{address}/")).build().unwrap();
    let error = traced(&tracing).execute(request).await.unwrap_err();
    assert!(error.is_connect());

    let span = tracing.only();
    assert_outcome(&span, Outcome::Failed);
    assert_eq!(
        text_attribute(&span, "error.type").as_deref(),
        Some("reqwest::error::Error")
    );
    assert_eq!(attribute(&span, "http.response.status_code"), None);
}

#[tokio::test]
async fn a_response_that_is_not_read_is_a_cancelled_span() {
    let (address, server) = serving(vec![ok("Ada")]);
    let tracing = TestTracing::always();
    let request = plain().get(format!("http://{address}/")).build().unwrap();
    drop(traced(&tracing).execute(request).await.unwrap());
    assert_outcome(&tracing.only(), Outcome::CancelledDuringBody);
    server.join().unwrap();
}

#[tokio::test]
async fn it_is_a_service_in_a_stack_of_layers_too() {
    let (address, server) = serving(vec![ok("Ada")]);
    let tracing = TestTracing::always();
    let layer = TraceLayer::from_spans(tracing.spans());
    let service = layer.layer(HttpClient::new(plain()));
    let request = Request::get(format!("http://{address}/"))
        .body("body")
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    let body = http_body_util::BodyExt::collect(Body::wrap(response.into_body())).await;
    assert_eq!(body.unwrap().to_bytes(), "Ada");
    assert_outcome(&tracing.only(), Outcome::Completed);
    assert_eq!(traceparents(&server.join().unwrap()[0]).len(), 1);
}

#[tokio::test]
async fn the_clients_can_be_shown_and_cloned() {
    let tracing = TestTracing::always();
    let client = traced(&tracing);
    for client in [client.clone(), client] {
        assert!(format!("{client:?}").contains("HttpClient"));
    }
    let mut service = HttpClient::new(plain());
    let request = Request::get("http://127.0.0.1:1/").body("").unwrap();
    let future = service.call(request);
    assert!(format!("{future:?}").contains("HttpFuture"));
    tracing.assert_none();
}
