//! What a span that nobody keeps may cost: allocations, reallocations included.

use std::convert::Infallible;

use opentelemetry::Context;
use opentelemetry::trace::SpanBuilder;
use tower::{Layer, Service};
use towline_span::{SpanLayer, Spans};
use towline_test_support::allocations::{count, steady};
use towline_test_support::{Caller, TestTracing, poll_once};

fn work() -> SpanBuilder {
    SpanBuilder::from_name("work")
}

#[track_caller]
fn assert_allocations(expected: u64, work: impl FnMut()) {
    let made = steady(work);
    assert_eq!((made.count, made.held), (expected, 0), "{made:?}");
}

#[test]
fn an_unsampled_remote_parent_costs_one() {
    for tracing in [TestTracing::never(), TestTracing::always()] {
        let (spans, base) = (tracing.spans(), Context::new());
        for caller in [
            Caller::not_sampled(),
            Caller::not_sampled().with_random_flag(),
        ] {
            let remote = caller.span_context();
            assert_allocations(1, || drop(spans.start_remote(&base, remote.clone(), &work)));
        }
    }
}

#[test]
fn an_unsampled_parent_that_is_current_costs_one() {
    let spans = TestTracing::always().spans();
    let base = Caller::not_sampled().context();
    assert_allocations(1, || drop(spans.start(&base, &work)));
}

#[test]
fn an_unsampled_root_costs_one() {
    let spans = TestTracing::never().spans();
    assert_allocations(1, || drop(spans.start(&Context::new(), &work)));
}

#[test]
fn off_costs_nothing_and_one_to_pass_a_remote_parent_on() {
    let tracing = TestTracing::off();
    let (spans, base) = (tracing.spans(), Context::new());
    assert_allocations(0, || drop(spans.start(&base, &work)));
    let remote = Caller::sampled().span_context();
    assert_allocations(1, || drop(spans.start_remote(&base, remote.clone(), &work)));
    let current = Caller::sampled().context();
    assert_allocations(0, || drop(spans.start(&current, &work)));
}

#[test]
fn to_be_current_costs_nothing() {
    let spans = TestTracing::always().spans();
    let mut recorded = spans.start(&Context::new(), &work);
    let mut unsampled = spans.start(&Caller::not_sampled().context(), &work);
    assert_allocations(0, || recorded.enter(|| ()));
    assert_allocations(0, || unsampled.enter(|| ()));
}

#[test]
fn a_layer_adds_nothing_of_its_own() {
    // Everything that the span itself costs is counted above; the call and its polls are free.
    for (tracing, caller, expected) in [
        (TestTracing::off(), None, 0),
        (TestTracing::off(), Some(Caller::sampled()), 0),
        (TestTracing::never(), None, 1),
        (TestTracing::never(), Some(Caller::not_sampled()), 1),
    ] {
        let mut service =
            SpanLayer::new(tracing.spans(), "work").layer(tower::service_fn(|n: u32| {
                std::future::ready(Ok::<_, Infallible>(n))
            }));
        let _attached = caller.map(|caller| caller.context().attach());
        assert_allocations(expected, || {
            assert!(poll_once(&mut service.call(1)).is_ready());
        });
        tracing.assert_none();
    }
}

/// What a recorded span costs beyond the SDK's own is the box that holds it in the context.
#[test]
fn a_recorded_span_costs_what_the_sdks_does() {
    use opentelemetry::trace::{TraceContextExt, Tracer};
    let tracing = TestTracing::always();
    let (spans, tracer, base) = (tracing.spans(), tracing.tracer(), Context::new());
    let by_hand = || {
        let span = tracer.build_with_context(work(), &base);
        let cx = base.with_span(span);
        cx.span().end();
    };
    let ours = |spans: &Spans<_>| {
        drop(spans.start_remote(&base, Caller::sampled().span_context(), &work));
    };
    // The memory of the kit grows with every span; give it room first.
    for _ in 0..5 {
        by_hand();
        ours(&spans);
    }
    let ((), sdk) = count(by_hand);
    let ((), own) = count(|| ours(&spans));
    // The parent in its context, and the attribute that says how the span was cut short.
    assert!(own.count <= sdk.count + 2, "{own:?} against {sdk:?}");
}
