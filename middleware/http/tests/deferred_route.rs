//! A router inside of the traced service names the route after the span has begun.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use opentelemetry_sdk::trace::{SdkTracer, SpanData};
use tower::{Layer, Service, service_fn};
use towline_http::server::{DeferredRoute, TraceLayer};
use towline_test_support::{
    Caller, TestTracing, assert_no_duplicate_attributes, attribute, text_attribute,
};

fn layer(tracing: &TestTracing) -> TraceLayer<SdkTracer> {
    TraceLayer::from_spans(tracing.spans()).with_deferred_route()
}

/// Sends a request through a layer around a router that does this; reads the response to its end.
fn exchange(layer: &TraceLayer<SdkTracer>, request: Request<()>, router: impl Fn(&Request<()>)) {
    let service = service_fn(|request: Request<()>| {
        router(&request);
        let mut response = Response::new(Full::<Bytes>::from("text"));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        ready(Ok::<_, Infallible>(response))
    });
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = Box::pin(layer.layer(service).call(request));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut cx) else {
        panic!("the service answers at once");
    };
    let mut body = Box::pin(response.into_body());
    while let Poll::Ready(Some(_)) = http_body::Body::poll_frame(body.as_mut(), &mut cx) {}
}

fn slot(request: &Request<()>) -> &DeferredRoute {
    request.extensions().get().expect("there is a slot")
}

#[track_caller]
fn assert_routed(span: &SpanData, name: &str, route: Option<&str>) {
    assert_no_duplicate_attributes(span);
    assert_eq!(span.name, name);
    assert_eq!(text_attribute(span, "http.route").as_deref(), route);
    assert_eq!(
        attribute(span, "http.response.status_code"),
        Some(500.into())
    );
    assert_eq!(text_attribute(span, "error.type").as_deref(), Some("500"));
}

#[test]
fn names_the_span_when_it_ends() {
    for (tracing, caller) in [
        (TestTracing::always(), None),
        (TestTracing::never(), Some(Caller::sampled())),
    ] {
        let mut request = Request::new(());
        if let Some(caller) = caller {
            let traceparent = caller.traceparent().parse().unwrap();
            request.headers_mut().insert("traceparent", traceparent);
        }
        exchange(&layer(&tracing), request, |request| {
            slot(request).set("/users/{id}");
        });
        assert_routed(&tracing.only(), "GET /users/{id}", Some("/users/{id}"));
    }
}

#[test]
fn a_slot_that_nobody_fills_leaves_the_method_alone() {
    let tracing = TestTracing::always();
    exchange(&layer(&tracing), Request::new(()), |request| {
        slot(request);
    });
    assert_routed(&tracing.only(), "GET", None);
}

#[test]
fn the_first_name_counts() {
    let tracing = TestTracing::always();
    exchange(&layer(&tracing), Request::new(()), |request| {
        slot(request).set("/first");
        slot(request).clone().set("/second");
    });
    assert_routed(&tracing.only(), "GET /first", Some("/first"));
}

#[test]
fn a_route_that_is_known_at_the_start_is_not_recorded_again() {
    let tracing = TestTracing::always();
    let layer = layer(&tracing).with_route(|_request| Some("/known".into()));
    exchange(&layer, Request::new(()), |request| {
        if let Some(slot) = request.extensions().get::<DeferredRoute>() {
            slot.set("/found/later");
        }
    });
    assert_routed(&tracing.only(), "GET /known", Some("/known"));
}

#[test]
fn is_used_where_the_user_s_function_knows_none() {
    let tracing = TestTracing::always();
    let layer = layer(&tracing).with_route(|_request| None);
    exchange(&layer, Request::new(()), |request| {
        slot(request).set("/found");
    });
    assert_routed(&tracing.only(), "GET /found", Some("/found"));
}

#[test]
fn a_method_that_is_not_known_names_no_span() {
    let tracing = TestTracing::always();
    let method = Method::from_bytes(b"BREW").unwrap();
    let request = Request::builder().method(method).body(()).unwrap();
    exchange(&layer(&tracing), request, |request| {
        slot(request).set("/users/{id}");
    });
    assert_routed(&tracing.only(), "HTTP /users/{id}", Some("/users/{id}"));
}

#[test]
fn names_the_span_of_a_request_that_was_dropped() {
    let tracing = TestTracing::always();
    let service = service_fn(|request: Request<()>| {
        slot(&request).set("/slow");
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    drop(layer(&tracing).layer(service).call(Request::new(())));
    let span = tracing.only();
    assert_eq!(span.name, "GET /slow");
    assert_eq!(
        text_attribute(&span, "http.route").as_deref(),
        Some("/slow")
    );
}

#[test]
fn a_request_that_is_not_recorded_has_no_slot() {
    let off = TestTracing::off();
    for tracing in [TestTracing::never(), off] {
        exchange(&layer(&tracing), Request::new(()), |request| {
            assert!(request.extensions().is_empty());
        });
    }
}

#[test]
fn nobody_has_a_slot_who_did_not_ask_for_one() {
    let tracing = TestTracing::always();
    let layer = TraceLayer::from_spans(tracing.spans());
    exchange(&layer, Request::new(()), |request| {
        assert!(request.extensions().is_empty());
    });
    assert_routed(&tracing.only(), "GET", None);
}
