//! A method that anybody can make up is not recorded as one, nor does it name the span.

use http::{Method, Request};
use opentelemetry_sdk::trace::SpanData;
use towline_http::{client, server};
use towline_test_support::{TestTracing, attribute};

use crate::{recorded, text};

fn request(method: &str) -> Request<()> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder().method(method).body(()).unwrap()
}

/// The span on each side of a request with this method, `known` being the methods of the user's own.
fn spans(method: &str, known: Option<&[Method]>) -> [SpanData; 2] {
    let (of_server, of_client) = (TestTracing::always(), TestTracing::always());
    let mut server = server::TraceLayer::from_spans(of_server.spans());
    let mut client = client::TraceLayer::from_spans(of_client.spans());
    if let Some(known) = known {
        server = server.with_known_methods(known.iter().cloned());
        client = client.with_known_methods(known.iter().cloned());
    }
    [
        recorded(&of_server, server, request(method)),
        recorded(&of_client, client, request(method)),
    ]
}

#[track_caller]
fn assert_method(span: &SpanData, name: &str, method: &str, original: Option<&str>) {
    assert_eq!(span.name, name);
    assert_eq!(attribute(span, "http.request.method"), Some(text(method)));
    let found = attribute(span, "http.request.method_original");
    assert_eq!(found, original.map(text));
}

#[test]
fn every_method_of_the_conventions_is_recorded_by_name() {
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
    ] {
        for span in spans(method, None) {
            assert_method(&span, method, method, None);
        }
    }
}

#[test]
fn any_other_method_is_other_and_kept_as_the_original() {
    for method in ["get", "Get", "BREW", "PROPFIND", "GETT", "_OTHER", "HTTP"] {
        for span in spans(method, None) {
            assert_method(&span, "HTTP", "_OTHER", Some(method));
        }
    }
}

#[test]
fn the_user_s_methods_take_the_place_of_the_known_ones() {
    let propfind = Method::from_bytes(b"PROPFIND").unwrap();
    let known = [Method::GET, propfind];
    for method in ["GET", "PROPFIND"] {
        for span in spans(method, Some(&known)) {
            assert_method(&span, method, method, None);
        }
    }
    for method in ["POST", "propfind"] {
        for span in spans(method, Some(&known)) {
            assert_method(&span, "HTTP", "_OTHER", Some(method));
        }
    }
}

#[test]
fn a_route_is_named_although_the_method_is_not() {
    let tracing = TestTracing::always();
    let layer = server::TraceLayer::from_spans(tracing.spans())
        .with_route(|_request| Some("/users/{id}".into()));
    let span = recorded(&tracing, layer, request("BREW"));
    assert_method(&span, "HTTP /users/{id}", "_OTHER", Some("BREW"));

    let tracing = TestTracing::always();
    let layer = client::TraceLayer::from_spans(tracing.spans())
        .with_template(|_request| Some("/users/{id}".into()));
    let span = recorded(&tracing, layer, request("BREW"));
    assert_method(&span, "HTTP /users/{id}", "_OTHER", Some("BREW"));
}
