//! Heads that are all there is of a response, and what a status says.

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Response, StatusCode};
use opentelemetry::trace::Status;
use towline_span::Outcome;
use towline_test_support::{BodyStep, ScriptedBody, text_attribute};

use crate::exchange::{Ending, Exchange, body};
use crate::side::{Client, Server, Side};

on_both_sides! {
    ends_at_a_head_that_has_no_body,
    goes_on_after_a_head_that_has_one,
    an_upgraded_connection_is_no_more_of_the_span,
    a_status_below_400_is_no_error,
    an_error_status_needs_no_description,
    the_status_is_never_ok,
}

fn with_status(status: u16, body: ScriptedBody) -> Response<ScriptedBody> {
    let status = StatusCode::from_u16(status).unwrap();
    Response::builder().status(status).body(body).unwrap()
}

fn ends_at_a_head_that_has_no_body<S: Side>() {
    for (method, status) in [
        (Method::HEAD, 200),
        (Method::HEAD, 206),
        (Method::GET, 204),
        (Method::POST, 204),
        (Method::GET, 304),
        (Method::GET, 101),
        (Method::CONNECT, 200),
        (Method::CONNECT, 204),
        (Method::CONNECT, 299),
    ] {
        // A body that nobody will read; the length is that of what `HEAD` is not sent.
        let mut response = with_status(status, body([BodyStep::Hang]));
        let length = HeaderValue::from_static("42");
        response.headers_mut().insert(CONTENT_LENGTH, length);
        let mut exchange = Exchange::<S>::request(method, response);
        assert!(exchange.poll().is_pending());
        exchange.assert_open();
        let status = exchange.head().unwrap();
        exchange.assert_ended(Ending::COMPLETED.with_status(status));
        exchange.drop();
        assert_eq!(exchange.tracing.finished().len(), 1);
    }
}

fn goes_on_after_a_head_that_has_one<S: Side>() {
    for (method, status) in [
        (Method::GET, 200),
        (Method::GET, 206),
        (Method::POST, 205),
        (Method::GET, 301),
        (Method::OPTIONS, 200),
        (Method::CONNECT, 302),
    ] {
        let mut exchange = Exchange::<S>::request(method, with_status(status, body([])));
        let status = exchange.head().unwrap();
        exchange.assert_open();
        assert!(exchange.frame().is_ready());
        exchange.assert_ended(Ending::COMPLETED.with_status(status));
    }
}

fn an_upgraded_connection_is_no_more_of_the_span<S: Side>() {
    for (method, status) in [(Method::GET, 101), (Method::CONNECT, 200)] {
        let response = with_status(status, body([BodyStep::data("frame of another protocol")]));
        let mut exchange = Exchange::<S>::request(method, response);
        let status = exchange.head().unwrap();
        exchange.assert_ended(Ending::COMPLETED.with_status(status));
        exchange.data();
        exchange.drop();
        assert_eq!(exchange.tracing.finished().len(), 1);
    }
}

fn a_status_below_400_is_no_error<S: Side>() {
    for status in [200, 201, 299, 300, 302, 399] {
        let mut exchange = Exchange::<S>::get(with_status(status, body([])));
        let status = exchange.head().unwrap();
        assert!(exchange.frame().is_ready());
        exchange.assert_ended(Ending::COMPLETED.with_status(status));
    }
}

fn an_error_status_needs_no_description<S: Side>() {
    let mut exchange = Exchange::<S>::get(with_status(500, body([])));
    exchange.head().unwrap();
    assert!(exchange.frame().is_ready());
    assert_eq!(exchange.tracing.only().status, Status::error(""));
}

fn the_status_is_never_ok<S: Side>() {
    for status in 100..1000 {
        let mut exchange = Exchange::<S>::get(with_status(status, body([]).announcing_end()));
        exchange.head().unwrap();
        assert_ne!(exchange.tracing.only().status, Status::Ok, "{status}");
    }
}

#[track_caller]
fn assert_error_type<S: Side>(status: u16, expected: Option<&'static str>) {
    let mut exchange = Exchange::<S>::get(with_status(status, body([])));
    let status = exchange.head().unwrap();
    assert!(exchange.frame().is_ready());
    let ending = Ending {
        outcome: Outcome::Completed,
        status: Some(status),
        error_type: expected,
    };
    exchange.assert_ended(ending);
}

#[test]
fn a_status_from_500_up_is_an_error_to_the_server() {
    for (status, expected) in [
        (400, None),
        (401, None),
        (404, None),
        (429, None),
        (499, None),
        (500, Some("500")),
        (501, Some("501")),
        (503, Some("503")),
        (599, Some("599")),
        (600, None),
        (999, None),
    ] {
        assert_error_type::<Server>(status, expected);
    }
}

#[test]
fn a_status_from_400_up_is_an_error_to_the_client() {
    for (status, expected) in [
        (399, None),
        (400, Some("400")),
        (401, Some("401")),
        (418, Some("418")),
        (499, Some("499")),
        (500, Some("500")),
        (599, Some("599")),
        (600, None),
        (999, None),
    ] {
        assert_error_type::<Client>(status, expected);
    }
}

#[test]
fn every_error_status_is_its_own_error_type() {
    for status in 400..600_u16 {
        let mut exchange = Exchange::<Client>::get(with_status(status, body([])));
        exchange.head().unwrap();
        assert!(exchange.frame().is_ready());
        let span = exchange.tracing.only();
        assert_eq!(
            text_attribute(&span, "error.type"),
            Some(status.to_string())
        );
    }
}
