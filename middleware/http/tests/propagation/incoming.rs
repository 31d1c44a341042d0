//! Whose child a server's span is.

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, Tracer};
use towline_http::server::TraceLayer;
use towline_test_support::{Caller, TestTracing, assert_child_of, assert_root};

use crate::inside;

fn layer(tracing: &TestTracing) -> TraceLayer<opentelemetry_sdk::trace::SdkTracer> {
    TraceLayer::from_spans(tracing.spans())
}

#[test]
fn a_foreign_traceparent_is_joined() {
    for flags in [1, 3] {
        let (tracing, caller) = (TestTracing::always(), Caller::with_flags(flags));
        inside(layer(&tracing), &[("traceparent", &caller.traceparent())]);
        let span = tracing.only();
        assert_child_of(&span, &caller.span_context());
        assert!(span.parent_span_is_remote);
        assert_ne!(span.span_context.span_id(), caller.span_context().span_id());
    }
}

#[test]
fn a_foreign_tracer_joins_it_too() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let layer = TraceLayer::from_spans(tracing.spans_without_sampler());
    inside(layer, &[("traceparent", &caller.traceparent())]);
    assert_child_of(&tracing.only(), &caller.span_context());
}

#[test]
fn a_sampled_caller_is_recorded_although_the_rate_is_0() {
    let (tracing, caller) = (TestTracing::never(), Caller::sampled());
    let seen = inside(layer(&tracing), &[("traceparent", &caller.traceparent())]);
    let span = tracing.only();
    assert_child_of(&span, &caller.span_context());
    assert!(seen.current().is_sampled());
    assert_eq!(seen.current().span_id(), span.span_context.span_id());
}

#[test]
fn a_caller_that_is_not_sampled_is_obeyed_although_the_rate_is_1() {
    let (tracing, caller) = (TestTracing::always(), Caller::not_sampled());
    let seen = inside(layer(&tracing), &[("traceparent", &caller.traceparent())]);
    tracing.assert_none();
    let (current, sent) = (seen.current(), caller.span_context());
    assert_eq!(current.trace_id(), sent.trace_id());
    assert_ne!(current.span_id(), sent.span_id());
    assert!(current.is_valid() && !current.is_sampled() && !current.is_remote());
}

#[test]
fn the_caller_s_tracestate_goes_with_the_span() {
    for caller in callers_with_state() {
        let tracing = TestTracing::always();
        let seen = inside(
            layer(&tracing),
            &[
                ("traceparent", &caller.traceparent()),
                ("tracestate", &caller.tracestate()),
            ],
        );
        let state = seen.current().trace_state().header();
        assert_eq!(state, caller.tracestate());
    }
}

fn callers_with_state() -> [Caller; 2] {
    [Caller::sampled(), Caller::not_sampled()].map(|caller| {
        caller
            .with_tracestate("congo", "t61rcWkgMzE")
            .with_tracestate("rojo", "00f067aa0ba902b7")
    })
}

#[test]
fn several_tracestate_lines_are_one_list() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let seen = inside(
        layer(&tracing),
        &[
            ("traceparent", &caller.traceparent()),
            ("tracestate", "a=1"),
            ("tracestate", "b=2,c=3"),
        ],
    );
    assert_eq!(seen.current().trace_state().header(), "a=1,b=2,c=3");
}

#[test]
fn a_malformed_or_repeated_traceparent_is_as_good_as_none() {
    let good = Caller::sampled().traceparent();
    let upper = good.to_uppercase();
    for lines in [
        &["garbage"][..],
        &[""],
        &["00"],
        &[upper.as_str()],
        &["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        &["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
        &["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
        &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"],
        &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"],
        &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"],
        &["0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        &[good.as_str(), good.as_str()],
        &[good.as_str(), "garbage"],
    ] {
        let tracing = TestTracing::always();
        let mut headers = vec![("tracestate", "congo=1")];
        headers.extend(lines.iter().map(|line| ("traceparent", *line)));
        let seen = inside(layer(&tracing), &headers);
        let span = tracing.only();
        assert_root(&span);
        let sent = Caller::sampled().span_context().trace_id();
        assert_ne!(span.span_context.trace_id(), sent, "{lines:?}");
        assert_eq!(seen.current().trace_state().header(), "", "{lines:?}");
    }
}

#[test]
fn a_malformed_tracestate_does_not_cost_the_parent() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let seen = inside(
        layer(&tracing),
        &[
            ("traceparent", &caller.traceparent()),
            ("tracestate", "Not a list"),
        ],
    );
    assert_child_of(&tracing.only(), &caller.span_context());
    assert_eq!(seen.current().trace_state().header(), "");
}

#[test]
fn a_later_version_of_traceparent_is_joined() {
    let tracing = TestTracing::always();
    let line = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-brings";
    inside(layer(&tracing), &[("traceparent", line)]);
    assert_child_of(&tracing.only(), &Caller::sampled().span_context());
}

#[test]
fn without_a_caller_the_span_that_is_current_is_the_parent() {
    let tracing = TestTracing::always();
    let outer = Context::current_with_span(tracing.tracer().start("outer"));
    let attached = outer.clone().attach();
    inside(layer(&tracing), &[]);
    drop(attached);
    let span = tracing.only();
    assert_child_of(&span, outer.span().span_context());
    assert!(!span.parent_span_is_remote);
}

#[test]
fn a_caller_comes_before_the_span_that_is_current() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let attached = Context::current_with_span(tracing.tracer().start("outer")).attach();
    inside(layer(&tracing), &[("traceparent", &caller.traceparent())]);
    drop(attached);
    assert_child_of(&tracing.named("GET"), &caller.span_context());
}
