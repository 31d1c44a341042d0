//! Requests that get no span, and the trace that they are part of all the same.

use std::convert::Infallible;

use http::{HeaderMap, Method, Request, Response};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tower::{Service, service_fn};
use towline_http::server::TraceLayer;
use towline_http::{Begin, Filter, Filters, SampledFlag, Trace, Trust, client};
use towline_test_support::{Caller, TestTracing, poll_once};

fn health() -> Filters {
    Filters::new([
        Filter::path("/healthz"),
        Filter::method(Method::OPTIONS),
        Filter::new(|request| request.headers.contains_key("x-synthetic")),
    ])
}

/// What is current inside, with the baggage, and the headers there.
fn call(layer: impl Begin, request: Request<()>) -> (SpanContext, usize, HeaderMap) {
    let (tell, told) = std::sync::mpsc::channel();
    let mut service = Trace::new(
        service_fn(move |request: Request<()>| {
            let current = Context::current();
            let span = current.span().span_context().clone();
            let found = (span, current.baggage().len(), request.headers().clone());
            tell.send(found).unwrap();
            async { Ok::<_, Infallible>(Response::new(http_body_util::Empty::<&[u8]>::new())) }
        }),
        layer,
    );
    let mut future = Box::pin(service.call(request));
    assert!(poll_once(&mut future).is_ready());
    told.recv().unwrap()
}

fn from(caller: &Caller, path: &str) -> Request<()> {
    Request::get(path)
        .header("traceparent", caller.traceparent())
        .header("tracestate", "a=1")
        .header("baggage", "user=ada")
        .body(())
        .unwrap()
}

#[test]
fn a_skipped_request_has_no_span_and_passes_its_caller_on() {
    let tracing = TestTracing::always();
    let layer = TraceLayer::from_spans(tracing.spans()).with_filters(health());
    for caller in [Caller::sampled(), Caller::not_sampled()] {
        let (current, baggage, _) = call(layer.clone(), from(&caller, "/healthz?verbose"));
        let remote = caller.with_tracestate("a", "1").span_context();
        assert_eq!((&current, baggage), (&remote, 1));
        assert!(current.is_remote());
    }
    let (current, ..) = call(layer.clone(), Request::get("/healthz").body(()).unwrap());
    assert!(!current.is_valid());
    for request in [
        Request::options("/users").body(()),
        Request::get("/users").header("x-synthetic", "1").body(()),
    ] {
        call(layer.clone(), request.unwrap());
    }
    tracing.assert_none();
    call(layer, Request::get("/users").body(()).unwrap());
    tracing.only();
}

#[test]
fn a_set_that_is_replaced_counts_from_the_next_request_on() {
    let tracing = TestTracing::always();
    let filters = Filters::default();
    let layer = TraceLayer::from_spans(tracing.spans()).with_filters(filters.clone());
    let ask = || {
        call(layer.clone(), Request::get("/a").body(()).unwrap());
        tracing.finished().len()
    };
    assert_eq!(ask(), 1);
    filters.set([Filter::path("/a")]);
    assert_eq!(ask(), 1);
    filters.set([Filter::path("/b")]);
    assert_eq!(ask(), 2);
}

#[test]
fn what_is_not_believed_is_not_passed_on_by_a_skipped_request() {
    let tracing = TestTracing::always();
    let layer = TraceLayer::from_spans(tracing.spans()).with_filters(health());
    for trust in [Trust::ignore(), Trust::link()] {
        let layer = layer.clone().with_trust(trust);
        let (current, baggage, headers) = call(layer, from(&Caller::sampled(), "/healthz"));
        assert!(!current.is_valid());
        assert_eq!((baggage, headers.len()), (0, 0));
    }
    let trust = Trust::parent().with_sampled(SampledFlag::Ignore);
    let layer = layer.with_trust(trust);
    let (current, ..) = call(layer, from(&Caller::sampled(), "/healthz"));
    assert!(!current.is_sampled());
    assert_eq!(
        current.span_id(),
        Caller::sampled().span_context().span_id()
    );
    tracing.assert_none();
}

#[test]
fn a_client_that_skips_writes_what_is_current() {
    let tracing = TestTracing::always();
    let layer = client::TraceLayer::from_spans(tracing.spans()).with_filters(health());
    let caller = Caller::sampled();
    let _attached = caller.context().attach();
    let request = Request::get("http://host/healthz").body(()).unwrap();
    let (_, _, headers) = call(layer.clone(), request);
    assert_eq!(headers["traceparent"], caller.traceparent());
    tracing.assert_none();
    let request = Request::get("http://host/users").body(()).unwrap();
    let (_, _, headers) = call(layer, request);
    assert_ne!(headers["traceparent"], caller.traceparent());
    tracing.only();
}

#[test]
fn a_filtered_request_gets_no_span_because_tracing_is_switched_on_meanwhile() {
    let tracing = TestTracing::off();
    let control = tracing.sampler().control().clone();
    let layer = TraceLayer::from_spans(tracing.spans())
        .with_filters(health())
        .with_trust_by(move |_| {
            control.set_enabled(true);
            Trust::parent()
        });
    let caller = Caller::sampled();
    let (current, ..) = call(layer.clone(), from(&caller, "/healthz"));
    let remote = caller.clone().with_tracestate("a", "1").span_context();
    assert_eq!(current, remote);
    tracing.assert_none();
    call(layer, from(&caller, "/users"));
    tracing.only();
}

#[test]
fn the_filters_are_not_asked_while_tracing_is_off() {
    let tracing = TestTracing::off();
    let filters = Filters::new([Filter::new(|_| panic!("asked"))]);
    let layer = TraceLayer::from_spans(tracing.spans()).with_filters(filters);
    let (current, ..) = call(layer, from(&Caller::sampled(), "/users"));
    assert!(current.is_sampled());
    tracing.assert_none();
}

#[test]
fn debug_shows_what_was_chosen() {
    let tracing = TestTracing::always();
    let layer = TraceLayer::from_spans(tracing.spans())
        .with_filters(health())
        .with_trust_by(|_| Trust::ignore());
    let shown = format!("{layer:?}");
    assert!(
        shown.contains("by the request") && shown.contains("/healthz"),
        "{shown}"
    );
}
