//! Callers whose word does not count, or counts only so often; and what `tracestate` says of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use towline_sampler::{Control, Limit, Rate, Sampler};
use towline_span::OpenSpan;
use towline_test_support::{Caller, TestTracing, assert_child_of, assert_root};

fn work() -> SpanBuilder {
    SpanBuilder::from_name("work")
}

fn context_of(span: &OpenSpan) -> SpanContext {
    span.context().span().span_context().clone()
}

/// A remote caller that samples.
fn stranger(trace_id: u128, entry: &str) -> SpanContext {
    let state = TraceState::from_key_value([("ot", entry), ("a", "1")]).unwrap();
    let (trace_id, span_id) = (TraceId::from(trace_id), SpanId::from(7));
    SpanContext::new(trace_id, span_id, TraceFlags::new(3), true, state)
}

fn limited(rate: Rate, limit: Limit) -> Sampler {
    let control = Control::with_clock(rate, || std::time::Duration::ZERO);
    control.set_remote_limit(Some(limit));
    Sampler::new(control)
}

#[test]
fn a_request_takes_one_token_though_the_sampler_is_asked_twice() {
    let tracing = TestTracing::with_sampler(limited(Rate::NEVER, Limit::per_second(3)));
    let spans = tracing.spans();
    for trace in 1..=10 {
        let span = spans.start_remote(&Context::new(), stranger(trace, "p:1"), &work);
        assert_eq!(span.is_recording(), trace <= 3, "{trace}");
        // What is recorded is what is told to those behind.
        assert_eq!(context_of(&span).is_sampled(), trace <= 3, "{trace}");
        assert_eq!(context_of(&span).trace_id(), TraceId::from(trace));
        // Inside of the process nobody is asked again.
        let child = spans.start(span.context(), &work);
        assert_eq!(child.is_recording(), trace <= 3, "{trace}");
    }
    assert_eq!(tracing.finished().len(), 6);
}

#[test]
fn one_trace_has_as_much_room_as_is_said() {
    let tracing = TestTracing::with_sampler(limited(Rate::NEVER, Limit::per_second(1)));
    let spans = tracing.spans();
    let room = towline_sampler::Limiter::REQUESTS as usize;
    for n in 0..3 * room {
        let span = spans.start_remote(&Context::new(), stranger(1, "p:1"), &work);
        assert_eq!(span.is_recording(), n < room, "{n}");
    }
}

#[test]
fn by_the_rate_the_flag_of_a_caller_does_not_count() {
    for (rate, recorded) in [(Rate::NEVER, false), (Rate::ALWAYS, true)] {
        let tracing = TestTracing::with_rate(rate);
        for caller in [Caller::sampled(), Caller::not_sampled()] {
            let remote = caller.span_context();
            let spans = tracing.spans();
            let span = spans.start_remote_by_rate(&Context::new(), remote.clone(), &work);
            assert_eq!(span.is_recording(), recorded);
            assert_eq!(context_of(&span).is_sampled(), recorded);
            assert_eq!(context_of(&span).trace_id(), remote.trace_id());
            drop(span);
            if recorded {
                let span = tracing.only();
                assert_child_of(&span, &remote);
                assert!(span.parent_span_is_remote);
                tracing.reset();
            }
        }
        tracing.assert_none();
    }
}

#[test]
fn a_flag_that_does_not_count_is_not_passed_on_where_nobody_can_decide() {
    let remote = stranger(1, "th:0");
    let cleared = |span: OpenSpan, spans_of_its_own: bool| {
        let context = context_of(&span);
        assert!(!span.is_recording());
        assert_eq!(context.trace_id(), remote.trace_id());
        assert_eq!(context.trace_flags(), TraceFlags::new(2));
        assert_eq!(context.span_id() != remote.span_id(), spans_of_its_own);
    };
    let off = TestTracing::off();
    let base = Context::new();
    let span = off
        .spans()
        .start_remote_by_rate(&base, remote.clone(), &work);
    cleared(span, false);
    // A sampler that is not ours is told that the caller has not sampled.
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_sampler(opentelemetry_sdk::trace::Sampler::ParentBased(Box::new(
            opentelemetry_sdk::trace::Sampler::AlwaysOn,
        )))
        .build();
    let tracer = opentelemetry::trace::TracerProvider::tracer(&provider, "foreign");
    let spans = towline_span::Spans::new(tracer);
    cleared(
        spans.start_remote_by_rate(&base, remote.clone(), &work),
        true,
    );
}

#[test]
fn an_invalid_context_is_no_caller() {
    let tracing = TestTracing::always();
    let (spans, none) = (tracing.spans(), SpanContext::NONE);
    drop(spans.start_remote_by_rate(&Context::new(), none.clone(), &work));
    drop(spans.start_linked(&Context::new(), none, &work));
    for span in tracing.finished() {
        assert_root(&span);
        assert!(span.links.is_empty());
    }
    assert_eq!(tracing.finished().len(), 2);
}

#[test]
fn a_linked_span_is_a_root_that_knows_its_caller_but_not_its_list() {
    for caller in [Caller::sampled(), Caller::not_sampled()] {
        let tracing = TestTracing::always();
        let remote = caller.with_tracestate("a", "1").span_context();
        let spans = tracing.spans();
        drop(spans.start_linked(&Context::new(), remote.clone(), &work));
        let span = tracing.only();
        assert_root(&span);
        assert_ne!(span.span_context.trace_id(), remote.trace_id());
        assert_eq!(span.span_context.trace_state(), &TraceState::NONE);
        let [link] = &span.links[..] else {
            panic!("one link: {:?}", span.links);
        };
        assert_eq!(link.span_context.span_id(), remote.span_id());
        assert_eq!(link.span_context.trace_id(), remote.trace_id());
        assert_eq!(link.span_context.is_sampled(), remote.is_sampled());
        assert_eq!(link.span_context.trace_state(), &TraceState::NONE);
    }
    // A stranger cannot have it recorded.
    let never = TestTracing::never();
    let remote = Caller::sampled().span_context();
    let span = never.spans().start_linked(&Context::new(), remote, &work);
    assert!(!span.is_recording() && !context_of(&span).is_sampled());
}

#[test]
fn a_samplers_first_look_has_the_link_where_it_is_not_ours() {
    let tracing = TestTracing::always();
    let remote = Caller::sampled().span_context();
    let spans = tracing.spans_without_sampler();
    drop(spans.start_linked(&Context::new(), remote, &work));
    assert_eq!(tracing.only().links.len(), 1);
}

#[test]
fn the_threshold_goes_out_with_every_kind_of_span() {
    let told = |rate| {
        let sampler = Sampler::new(Control::new(rate)).with_probability_tracestate(true);
        TestTracing::with_sampler(sampler)
    };
    let entry = |span: &OpenSpan| {
        let context = context_of(span);
        context.trace_state().get("ot").map(ToOwned::to_owned)
    };
    let high = (1 << 56) - 1;
    let (always, never) = (told(Rate::ALWAYS), told(Rate::NEVER));
    let (recorded, dropped) = (always.spans(), never.spans());
    let base = Context::new();

    assert_eq!(
        entry(&recorded.start(&base, &work)).as_deref(),
        Some("th:0")
    );
    assert_eq!(entry(&dropped.start(&base, &work)), None);
    let kept = dropped.start_remote(&base, stranger(high, "th:8;rv:80000000000000"), &work);
    assert_eq!(entry(&kept).as_deref(), Some("th:8;rv:80000000000000"));
    let child = dropped.start(kept.context(), &work);
    assert_eq!(entry(&child).as_deref(), Some("th:8;rv:80000000000000"));
    // Sampled by something else than that.
    let erased = dropped.start_remote(&base, stranger(high, "th:8;rv:00000000000000"), &work);
    assert_eq!(entry(&erased).as_deref(), Some("rv:00000000000000"));
    // Not sampled: no span of the SDK's, and no threshold that says otherwise.
    let by_rate = dropped.start_remote_by_rate(&base, stranger(high, "th:8;p:1"), &work);
    assert_eq!(entry(&by_rate).as_deref(), Some("p:1"));
    let by_rate = recorded.start_remote_by_rate(&base, stranger(1, "th:8;p:1"), &work);
    assert_eq!(entry(&by_rate).as_deref(), Some("p:1;th:0"));
}
