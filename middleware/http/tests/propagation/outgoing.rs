//! What a client writes into the headers of a request.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, Tracer};
use towline_http::client::TraceLayer;
use towline_test_support::{Caller, TestTracing, assert_child_of, assert_root};

use crate::{inside, traceparent};

fn layer(tracing: &TestTracing) -> TraceLayer<opentelemetry_sdk::trace::SdkTracer> {
    TraceLayer::from_spans(tracing.spans())
}

#[test]
fn a_root_is_sent_as_the_parent() {
    let tracing = TestTracing::always();
    let seen = inside(layer(&tracing), &[]);
    let span = tracing.only();
    assert_root(&span);
    assert_eq!(seen.current().span_id(), span.span_context.span_id());
    assert_eq!(
        seen.header("traceparent"),
        Some(&*traceparent(&seen.current()))
    );
    assert_eq!(seen.header("tracestate"), None);
    assert_eq!(seen.header("baggage"), None);
}

#[test]
fn a_root_that_is_not_sampled_is_sent_as_such() {
    let tracing = TestTracing::never();
    let seen = inside(layer(&tracing), &[]);
    tracing.assert_none();
    assert!(seen.current().is_valid() && !seen.current().is_sampled());
    assert_eq!(
        seen.header("traceparent"),
        Some(&*traceparent(&seen.current()))
    );
}

#[test]
fn the_span_is_a_child_of_the_one_that_is_current() {
    let tracing = TestTracing::always();
    let outer = Context::current_with_span(tracing.tracer().start("outer"));
    let attached = outer.clone().attach();
    let seen = inside(layer(&tracing), &[]);
    drop(attached);
    let span = tracing.only();
    assert_child_of(&span, outer.span().span_context());
    assert_eq!(
        seen.header("traceparent"),
        Some(&*traceparent(&span.span_context))
    );
}

#[test]
fn a_trace_that_is_not_sampled_is_propagated_with_a_span_id_of_its_own() {
    let (tracing, caller) = (TestTracing::always(), Caller::not_sampled());
    let attached = caller.context().attach();
    let seen = inside(layer(&tracing), &[]);
    drop(attached);
    tracing.assert_none();
    let (current, parent) = (seen.current(), caller.span_context());
    assert_eq!(current.trace_id(), parent.trace_id());
    assert_ne!(current.span_id(), parent.span_id());
    assert_eq!(seen.header("traceparent"), Some(&*traceparent(&current)));
}

#[test]
fn copied_headers_are_replaced_by_exactly_one_traceparent() {
    let old = Caller::sampled().traceparent();
    for copied in [
        &[&*old][..],
        &[&*old, &*old],
        &["garbage"],
        &[&*old, "garbage", ""],
    ] {
        for tracing in [TestTracing::always(), TestTracing::never()] {
            let headers: Vec<_> = copied.iter().map(|line| ("traceparent", *line)).collect();
            let seen = inside(layer(&tracing), &headers);
            let expected = traceparent(&seen.current());
            assert_eq!(seen.header("traceparent"), Some(&*expected), "{copied:?}");
            assert_ne!(expected, old);
        }
    }
}

#[test]
fn a_copied_tracestate_of_another_trace_is_removed() {
    let old = Caller::sampled().traceparent();
    let seen = inside(
        layer(&TestTracing::always()),
        &[
            ("traceparent", &old),
            ("tracestate", "congo=1"),
            ("tracestate", "rojo=2"),
        ],
    );
    assert_eq!(seen.header("tracestate"), None);
}

#[test]
fn the_tracestate_of_the_trace_is_sent_in_one_line() {
    for caller in [Caller::sampled(), Caller::not_sampled()] {
        let caller = caller
            .with_tracestate("congo", "t61rcWkgMzE")
            .with_tracestate("rojo", "1");
        let attached = caller.context().attach();
        let seen = inside(
            layer(&TestTracing::always()),
            &[("tracestate", "stale=1"), ("tracestate", "stale=2")],
        );
        drop(attached);
        assert_eq!(seen.header("tracestate"), Some("congo=t61rcWkgMzE,rojo=1"));
    }
}

#[test]
fn what_a_handler_adds_to_the_tracestate_is_sent() {
    let parent = Caller::sampled()
        .with_tracestate("congo", "1")
        .span_context();
    let changed = SpanContext::new(
        parent.trace_id(),
        parent.span_id(),
        parent.trace_flags(),
        false,
        parent.trace_state().insert("ours", "2").unwrap(),
    );
    let attached = Context::new().with_remote_span_context(changed).attach();
    let seen = inside(layer(&TestTracing::always()), &[]);
    drop(attached);
    assert_eq!(seen.header("tracestate"), Some("ours=2,congo=1"));
}
