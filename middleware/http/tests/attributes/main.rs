//! What a span says of its request and response: names, types and values, and nothing beyond them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry::Value;
use opentelemetry_sdk::trace::SpanData;
use tower::{Service, service_fn};
use towline_http::{Begin, Trace};
use towline_test_support::{TestTracing, assert_no_duplicate_attributes};

mod client;
mod documented;
mod limits;
mod methods;
mod secrets;
mod server;

/// Sends a request through a layer around a service that answers this at once.
fn exchange<L: Begin>(layer: L, request: Request<()>, response: Response<()>) {
    let mut response = Some(response.map(|()| Empty::<Bytes>::new()));
    let service = service_fn(|_request| ready(Ok::<_, Infallible>(response.take().unwrap())));
    let mut future = Box::pin(Trace::new(service, layer).call(request));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(_response)) => {}
        Poll::Pending => panic!("the service answers at once"),
    }
}

/// The span of a request that is answered with an empty 200.
#[track_caller]
fn recorded<L: Begin>(tracing: &TestTracing, layer: L, request: Request<()>) -> SpanData {
    exchange(layer, request, Response::new(()));
    tracing.only()
}

/// Every attribute of a span, by name.
#[track_caller]
fn attributes(span: &SpanData) -> BTreeMap<&str, Value> {
    assert_no_duplicate_attributes(span);
    span.attributes
        .iter()
        .map(|attribute| (attribute.key.as_str(), attribute.value.clone()))
        .collect()
}

/// That the span has these attributes and no other.
#[track_caller]
fn assert_attributes(span: &SpanData, expected: &[(&str, Value)]) {
    let expected: BTreeMap<_, _> = expected.iter().cloned().collect();
    assert_eq!(attributes(span), expected);
}

/// A text value.
fn text(text: &str) -> Value {
    Value::from(text.to_owned())
}

/// An integer value.
fn integer(number: i64) -> Value {
    Value::I64(number)
}
