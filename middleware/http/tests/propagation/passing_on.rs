//! A provider that is shut down, or was never more than a no-op, does not cut others' traces.

use opentelemetry::trace::TraceContextExt;
use opentelemetry::trace::noop::NoopTracer;
use towline_http::{client, server};
use towline_test_support::{Caller, TestTracing};

use crate::{callers, inside};

fn shut_down() -> TestTracing {
    let tracing = TestTracing::always();
    tracing.shutdown();
    tracing
}

#[test]
fn a_server_passes_its_caller_on() {
    for caller in callers() {
        let tracing = shut_down();
        let line = caller.traceparent();
        for spans in [tracing.spans(), tracing.spans_without_sampler()] {
            let seen = inside(
                server::TraceLayer::from_spans(spans),
                &[("traceparent", &line)],
            );
            let (current, sent) = (seen.current(), caller.span_context());
            assert_eq!(current.trace_id(), sent.trace_id());
            assert_eq!(current.trace_flags(), sent.trace_flags());
        }
        tracing.assert_none();
    }
}

#[test]
fn a_server_passes_on_the_very_span_of_a_sampled_caller() {
    let (tracing, caller) = (shut_down(), Caller::sampled());
    let seen = inside(
        server::TraceLayer::from_spans(tracing.spans()),
        &[("traceparent", &caller.traceparent())],
    );
    assert_eq!(seen.current(), caller.span_context());
}

#[test]
fn a_server_without_a_caller_makes_nothing_up() {
    let seen = inside(server::TraceLayer::from_spans(shut_down().spans()), &[]);
    assert!(!seen.current().is_valid());
}

#[test]
fn a_client_sends_the_context_that_is_current() {
    let (tracing, caller) = (shut_down(), Caller::sampled());
    let attached = caller.context().attach();
    let seen = inside(
        client::TraceLayer::from_spans(tracing.spans()),
        &[("traceparent", "stale")],
    );
    drop(attached);
    assert_eq!(seen.header("traceparent"), Some(&*caller.traceparent()));
}

#[test]
fn a_client_without_a_context_leaves_the_headers_alone() {
    let line = Caller::sampled().traceparent();
    let seen = inside(
        client::TraceLayer::from_spans(shut_down().spans()),
        &[("traceparent", &line)],
    );
    assert_eq!(seen.header("traceparent"), Some(&*line));
    let seen = inside(client::TraceLayer::from_spans(shut_down().spans()), &[]);
    assert_eq!(seen.header("traceparent"), None);
}

#[test]
fn a_tracer_that_does_nothing_lets_everything_pass() {
    let caller = Caller::sampled();
    let seen = inside(
        server::TraceLayer::new(NoopTracer::new()),
        &[("traceparent", &caller.traceparent())],
    );
    assert_eq!(seen.current(), caller.span_context());
    let seen = inside(server::TraceLayer::new(NoopTracer::new()), &[]);
    assert!(!seen.context.span().span_context().is_valid());

    let attached = caller.context().attach();
    let seen = inside(client::TraceLayer::new(NoopTracer::new()), &[]);
    drop(attached);
    assert_eq!(seen.header("traceparent"), Some(&*caller.traceparent()));
}
