//! A request and a response pass through as they are.

use std::future::ready;
use std::task::Poll;

use http::{
    Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};
use tower::{Service, service_fn};
use towline_http::Trace;
use towline_test_support::{Caller, ScriptedError, TestTracing};

use crate::exchange::{body, context};
use crate::side::{Client, Server, Side};

on_both_sides! {
    the_response_is_what_the_service_answered,
    the_request_but_for_its_context_is_what_the_caller_sent,
}

/// Leaves its mark in extensions.
#[derive(Clone, Debug, PartialEq)]
struct Mark(u8);

/// Whatever there may be in a pipeline: recording, not recording, switched off, shut down.
fn pipelines() -> [TestTracing; 4] {
    let shut_down = TestTracing::always();
    shut_down.shutdown();
    [
        TestTracing::always(),
        TestTracing::never(),
        TestTracing::off(),
        shut_down,
    ]
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", &b"users.example:8080"[..]),
        ("x-many", b"first"),
        ("x-many", b"second"),
        ("x-many", b"first"),
        ("cookie", b"a=1"),
        ("x-raw", b"\xff\xfe"),
        ("x-empty", b""),
        ("content-length", b"3"),
    ] {
        headers.append(name, value.try_into().unwrap());
    }
    headers
}

fn listed(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

fn the_response_is_what_the_service_answered<S: Side>() {
    for tracing in pipelines() {
        let service = service_fn(|_request: Request<()>| {
            let mut response = Response::new(body([]));
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            *response.version_mut() = Version::HTTP_10;
            *response.headers_mut() = headers();
            response.extensions_mut().insert(Mark(7));
            ready(Ok::<_, ScriptedError>(response))
        });
        let mut service = Trace::new(service, S::layer_of(&tracing));
        let mut future = Box::pin(service.call(Request::new(())));
        let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
            panic!("the service answers at once");
        };
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.version(), Version::HTTP_10);
        assert_eq!(listed(response.headers()), listed(&headers()));
        assert_eq!(response.extensions().get(), Some(&Mark(7)));
        assert_eq!(response.extensions().len(), 1);
    }
}

/// What arrives inside of a request with these headers.
fn inside<S: Side>(tracing: &TestTracing, headers: HeaderMap) -> Request<Mark> {
    let mut request = Request::new(Mark(1));
    *request.method_mut() = Method::from_bytes(b"BREW").unwrap();
    *request.uri_mut() = Uri::from_static("http://users.example/users/42?q=abc&sig=x");
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Mark(2));

    let mut arrived = None;
    let service = service_fn(|request: Request<Mark>| {
        arrived = Some(request);
        ready(Ok::<_, ScriptedError>(Response::new(body([]))))
    });
    drop(Trace::new(service, S::layer_of(tracing)).call(request));
    arrived.expect("the service was called")
}

fn the_request_but_for_its_context_is_what_the_caller_sent<S: Side>() {
    for tracing in pipelines() {
        let mut arrived = inside::<S>(&tracing, headers());
        arrived.headers_mut().remove("traceparent");
        assert_eq!(arrived.method(), "BREW");
        assert_eq!(arrived.uri(), "http://users.example/users/42?q=abc&sig=x");
        assert_eq!(arrived.version(), Version::HTTP_2);
        assert_eq!(listed(arrived.headers()), listed(&headers()));
        assert_eq!(arrived.extensions().get(), Some(&Mark(2)));
        assert_eq!(Extensions::len(arrived.extensions()), 1);
        assert_eq!(arrived.body(), &Mark(1));
    }
}

/// Headers with every field of a context in them.
fn with_context() -> HeaderMap {
    let mut headers = headers();
    let caller = Caller::sampled();
    for (name, value) in [
        ("traceparent", caller.traceparent().as_str()),
        ("tracestate", "congo=t61rcWkgMzE"),
        ("baggage", "tenant=acme"),
    ] {
        headers.append(name, value.try_into().unwrap());
    }
    headers
}

#[test]
fn the_server_leaves_the_caller_s_context_in_the_headers() {
    for tracing in pipelines() {
        let arrived = inside::<Server>(&tracing, with_context());
        assert_eq!(listed(arrived.headers()), listed(&with_context()));
    }
}

#[test]
fn the_client_changes_the_fields_of_the_context_and_nothing_else() {
    let mut expected = headers();
    let arrived = inside::<Client>(&TestTracing::always(), with_context());
    let traceparent = arrived.headers()["traceparent"].clone();
    assert_ne!(traceparent, Caller::sampled().traceparent());
    expected.insert("traceparent", traceparent);
    // There is no baggage in the context, so that of the user stays.
    expected.insert("baggage", HeaderValue::from_static("tenant=acme"));
    assert_eq!(arrived.headers(), &expected);
}
