//! The caller's context in the query of the target.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::trace::SdkTracer;
use tower::{Service, service_fn};
use towline_http::Trace;
use towline_http::server::TraceLayer;
use towline_propagation::{CompositePropagator, Propagator, PropagatorKind};
use towline_test_support::{Caller, TestTracing, assert_child_of, assert_root};

fn layer(tracing: &TestTracing) -> TraceLayer<SdkTracer> {
    TraceLayer::from_spans(tracing.spans()).with_query_context()
}

/// Sends a request through a layer; what is current inside, and the target there.
fn inside(
    layer: TraceLayer<SdkTracer>,
    query: &str,
    headers: &[(&str, &str)],
) -> (Context, String) {
    let (see, seen) = std::sync::mpsc::channel();
    let mut service = Trace::new(
        service_fn(move |request: Request<()>| {
            see.send((Context::current(), request.uri().to_string()))
                .unwrap();
            ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        }),
        layer,
    );
    let mut request = Request::get(format!("/connect?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    drop(service.call(request.body(()).unwrap()));
    seen.try_recv().unwrap()
}

fn span(context: &Context) -> SpanContext {
    context.span().span_context().clone()
}

#[test]
fn the_server_s_span_joins_it() {
    let (tracing, caller) = (TestTracing::never(), Caller::sampled());
    let query = format!(
        "a=1&traceparent={}&tracestate=foo@@bar%3D2,congo%3D1",
        caller.traceparent()
    );
    let (current, target) = inside(layer(&tracing), &query, &[]);
    let span = tracing.only();
    assert_child_of(&span, &caller.span_context());
    assert!(span.parent_span_is_remote);
    let mut sent = HeaderMap::new();
    Propagator::w3c().inject(&current, &mut sent);
    assert_eq!(sent["tracestate"], "foo@@bar=2,congo=1");
    assert_eq!(target, format!("/connect?{query}"), "it is not changed");
    let recorded = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "url.query");
    assert_eq!(recorded.unwrap().value.as_str(), query);
}

#[test]
fn it_is_not_read_unless_asked_for() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let layer = TraceLayer::from_spans(tracing.spans());
    inside(layer, &format!("traceparent={}", caller.traceparent()), &[]);
    assert_root(&tracing.only());
}

#[test]
fn a_legal_header_comes_first() {
    let (caller, other) = (Caller::sampled(), Caller::not_sampled());
    let query = format!("traceparent={}&tracestate=a%3D1", other.traceparent());
    for propagator in [
        Propagator::w3c(),
        Propagator::custom(CompositePropagator::w3c()),
        Propagator::of([PropagatorKind::TraceContext, PropagatorKind::Jaeger]),
    ] {
        let tracing = TestTracing::always();
        let layer = layer(&tracing).with_propagator(propagator);
        let (current, _) = inside(layer, &query, &[("traceparent", &caller.traceparent())]);
        assert_child_of(&tracing.only(), &caller.span_context());
        assert_eq!(span(&current).trace_state().header(), "");
    }
}

#[test]
fn an_illegal_header_does_not_hide_it() {
    let caller = Caller::sampled();
    for headers in [
        &[("traceparent", "junk")][..],
        &[("traceparent", &*caller.traceparent()); 2],
        &[("tracestate", "a=1")],
    ] {
        let tracing = TestTracing::always();
        let query = format!("traceparent={}", caller.traceparent());
        let (current, _) = inside(layer(&tracing), &query, headers);
        assert_child_of(&tracing.only(), &caller.span_context());
        assert_eq!(span(&current).trace_state().header(), "");
    }
}

#[test]
fn what_is_illegal_in_it_is_as_good_as_absent() {
    let traceparent = Caller::sampled().traceparent();
    for query in [
        String::new(),
        "traceparent=junk".to_owned(),
        format!("traceparent={traceparent}&traceparent={traceparent}"),
    ] {
        let tracing = TestTracing::always();
        inside(layer(&tracing), &query, &[]);
        assert_root(&tracing.only());
    }
}

#[test]
fn a_switched_off_server_hands_it_on() {
    let (tracing, caller) = (TestTracing::off(), Caller::sampled());
    let query = format!("traceparent={}", caller.traceparent());
    let (current, _) = inside(layer(&tracing), &query, &[]);
    assert_eq!(span(&current), caller.span_context());
    let (current, _) = inside(layer(&tracing), "a=1", &[]);
    assert!(!span(&current).is_valid());
    tracing.assert_none();
}
