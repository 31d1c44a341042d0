//! What goes wrong at the server, or on the way from it, as both sides tell it.

use std::convert::Infallible;
use std::future::ready;
use std::io;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use opentelemetry_sdk::trace::SpanData;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use towline_integration::{
    Body, Hop, Nobody, Protocol, RawServer, Server, ask, assert_joined, client, get, within,
};
use towline_span::Outcome;
use towline_test_support::{
    BodyStep, Probe, ScriptedBody, assert_outcome, attribute, error_description, text_attribute,
};

#[track_caller]
fn assert_failed(span: &SpanData, error_type: &str, status: Option<i64>) {
    assert_outcome(span, Outcome::Failed);
    assert_eq!(
        text_attribute(span, "error.type").as_deref(),
        Some(error_type)
    );
    assert_eq!(
        attribute(span, "http.response.status_code"),
        status.map(Into::into)
    );
    assert!(error_description(span).is_some());
}

#[tokio::test]
async fn a_service_that_fails_is_a_failed_span_on_both_sides() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let handler = service_fn(|_request: Request<Incoming>| {
            ready(Err::<Response<Body>, _>(io::Error::other("no such table")))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        within(client.oneshot(get(server.uri("/"))))
            .await
            .unwrap_err();

        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        assert_failed(&client, CLIENT_ERROR, None);
        assert_failed(&server, "std::io::error::Error", None);
        // The text of an error may say anything: it stays where the program that knows it is.
        assert_eq!(error_description(&server), Some(""));
    }
}

#[tokio::test]
async fn a_body_that_fails_is_a_failed_span_on_both_sides() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let handler = service_fn(|_request: Request<Incoming>| {
            let steps = [
                BodyStep::data("first"),
                BodyStep::Pending,
                BodyStep::Error("disk gone"),
            ];
            let body = ScriptedBody::new(&Probe::new(), steps).map_err(BoxError::from);
            ready(Ok::<_, Infallible>(Response::new(body)))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        let response = ask(client, get(server.uri("/"))).await;
        within(response.collect()).await.unwrap_err();

        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        assert_failed(&client, "hyper::error::Error", Some(200));
        assert_failed(&server, "_OTHER", Some(200));
        assert_eq!(error_description(&server), Some("disk gone"));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_body_s_end_is_a_failed_span() {
    for truncated in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let caller = Hop::always();
        let server = RawServer::answering(truncated).await;
        let client = caller.client_layer().layer(client(Protocol::Http1));
        let uri = format!("http://{}/", server.address()).parse().unwrap();
        let mut response = ask(client, get(uri)).await;
        let frame = within(response.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
        within(response.frame()).await.unwrap().unwrap_err();
        assert_failed(&caller.only().await, "hyper::error::Error", Some(200));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_head_is_a_failed_span() {
    for no_head in ["", "HTTP/1.1 200 OK\r\n", "220 mail.example ESMTP\r\n\r\n"] {
        let caller = Hop::always();
        let server = RawServer::answering(no_head).await;
        let client = caller.client_layer().layer(client(Protocol::Http1));
        let uri = format!("http://{}/", server.address()).parse().unwrap();
        within(client.oneshot(get(uri))).await.unwrap_err();
        assert_failed(&caller.only().await, CLIENT_ERROR, None);
    }
}

#[tokio::test]
async fn nobody_there_is_a_failed_span() {
    let caller = Hop::always();
    let nobody = Nobody::there();
    let uri = format!("http://{}/", nobody.address()).parse().unwrap();
    let client = caller.client_layer().layer(client(Protocol::Http1));
    let error = within(client.oneshot(get(uri))).await.unwrap_err();
    assert!(error.is_connect());
    assert_failed(&caller.only().await, CLIENT_ERROR, None);
}

const CLIENT_ERROR: &str = "hyper_util::client::legacy::client::Error";
