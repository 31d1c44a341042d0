//! The random flag of W3C Trace Context level 2: on every root whose id is random, and on whatever
//! descends from a root that has it.

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt, TraceFlags, Tracer};
use towline_span::{OpenSpan, Spans};
use towline_test_support::{Caller, TestTracing, current_span_context};

fn work() -> SpanBuilder {
    SpanBuilder::from_name("work")
}

fn context_of(span: &OpenSpan) -> SpanContext {
    span.context().span().span_context().clone()
}

fn flags_of(span: &OpenSpan) -> TraceFlags {
    context_of(span).trace_flags()
}

#[test]
fn a_root_has_it_whether_it_is_recorded_or_not() {
    for (tracing, flags) in [(TestTracing::always(), 0x03), (TestTracing::never(), 0x02)] {
        for spans in [tracing.spans(), tracing.spans_without_sampler()] {
            let root = spans.start(&Context::new(), &work);
            assert_eq!(flags_of(&root), TraceFlags::new(flags));
            assert_eq!(root.is_recording(), flags == 0x03);
        }
    }
}

#[test]
fn a_root_with_ids_of_another_kind_does_not_have_it() {
    for (tracing, flags) in [(TestTracing::always(), 0x01), (TestTracing::never(), 0x00)] {
        let spans = tracing.spans().with_random_trace_ids(false);
        let root = spans.start(&Context::new(), &work);
        assert_eq!(flags_of(&root), TraceFlags::new(flags));
    }
}

#[test]
fn a_child_has_it_if_its_remote_parent_has_whatever_ids_are_made_here() {
    for tracing in [TestTracing::always(), TestTracing::never()] {
        for random in [true, false] {
            let spans = tracing.spans().with_random_trace_ids(random);
            for flags in 0x00..=0x03 {
                let remote = Caller::with_flags(flags).span_context();
                let child = spans.start_remote(&Context::new(), remote.clone(), &work);
                assert_eq!(
                    flags_of(&child),
                    TraceFlags::new(flags),
                    "remote, flags {flags}"
                );
                let cx = Context::new().with_remote_span_context(remote);
                let child = spans.start(&cx, &work);
                assert_eq!(
                    flags_of(&child),
                    TraceFlags::new(flags),
                    "local, flags {flags}"
                );
            }
        }
    }
}

#[test]
fn the_sdks_own_children_inherit_it_from_a_root_of_ours() {
    let tracing = TestTracing::always();
    let tracer = tracing.tracer();
    tracing.spans().span("root").call(|| {
        tracer.in_span("child", |cx| {
            assert_eq!(
                cx.span().span_context().trace_flags(),
                TraceFlags::new(0x03)
            );
            tracer.in_span("grandchild", |_| ());
        });
    });
    for name in ["child", "grandchild"] {
        assert_eq!(
            tracing.named(name).span_context.trace_flags(),
            TraceFlags::new(0x03)
        );
    }
}

#[test]
fn every_level_of_our_own_spans_has_it() {
    for tracing in [TestTracing::always(), TestTracing::never()] {
        let spans: Spans<_> = tracing.spans();
        let seen = spans.span("a").call(|| {
            spans
                .span("b")
                .call(|| spans.span("c").call(current_span_context))
        });
        assert_eq!(
            seen.trace_flags() & TraceFlags::new(0x02),
            TraceFlags::new(0x02)
        );
    }
}

#[test]
fn the_flag_changes_nothing_else_about_a_recorded_root() {
    let tracing = TestTracing::always();
    let root = tracing.spans().start(&Context::new(), &work);
    let context = context_of(&root);
    assert!(context.is_sampled() && !context.is_remote());
    drop(root);
    let recorded = tracing.only().span_context;
    assert_eq!(
        (context.trace_id(), context.span_id()),
        (recorded.trace_id(), recorded.span_id())
    );
    assert_eq!(context.trace_state(), recorded.trace_state());
}
