//! What becomes of a span that may, or may not, be recorded; what is passed on in either case.

use std::cell::Cell;

use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt, TraceFlags, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider};
use tower::{Layer, Service};
use towline_sampler::{Branch, Control, Rate, Sampler};
use towline_span::{OpenSpan, Outcome, SpanLayer, Spans};
use towline_test_support::{
    Caller, Memory, SamplerSpy, ScriptedFuture, TestTracing, assert_child_of, assert_outcome,
    attribute, current_span_context, text_attribute,
};

fn work() -> SpanBuilder {
    SpanBuilder::from_name("work")
}

fn untouched() -> SpanBuilder {
    panic!("a span that nobody keeps is described")
}

fn context_of(span: &OpenSpan) -> SpanContext {
    span.context().span().span_context().clone()
}

/// A child that continues the parent's trace without being recorded.
#[track_caller]
fn assert_unsampled_child(child: &SpanContext, parent: &SpanContext) {
    assert_eq!(child.trace_id(), parent.trace_id());
    assert!(child.is_valid());
    assert_ne!(child.span_id(), parent.span_id());
    assert!(!child.is_sampled());
    assert!(!child.is_remote());
    assert_eq!(child.trace_state(), parent.trace_state());
    assert_eq!(
        child.trace_flags(),
        parent.trace_flags().with_sampled(false)
    );
}

fn remote_unsampled() -> Caller {
    Caller::not_sampled()
        .with_random_flag()
        .with_tracestate("vendor", "kept")
        .with_tracestate("other", "too")
}

// Off and the like: no span, and the trace of the caller is not cut.

#[test]
fn off_passes_the_callers_context_on_as_it_is() {
    let tracing = TestTracing::off();
    for caller in [Caller::sampled(), remote_unsampled()] {
        let remote = caller.span_context();
        let span = tracing
            .spans()
            .start_remote(&Context::new(), remote.clone(), &untouched);
        assert!(!span.is_recording());
        assert_eq!(context_of(&span), remote);
        assert!(context_of(&span).is_remote());
        let span = tracing.spans().start(&caller.context(), &untouched);
        assert_eq!(context_of(&span), remote);
    }
    let root = tracing.spans().start(&Context::new(), &untouched);
    assert!(!context_of(&root).is_valid());
    drop(root);
    tracing.assert_none();
}

#[tokio::test]
async fn off_a_layer_changes_nothing_that_is_current() {
    let tracing = TestTracing::off();
    let layer = SpanLayer::new(tracing.spans(), |_: &()| untouched());
    let mut service = layer.layer(tower::service_fn(async |()| {
        Ok::<_, String>(current_span_context())
    }));
    assert_eq!(service.call(()).await, Ok(SpanContext::NONE));
    let call = {
        let _attached = Caller::sampled().context().attach();
        service.call(())
    };
    assert_eq!(call.await, Ok(Caller::sampled().span_context()));
    assert!(!tracing.spans().is_enabled());
    tracing.assert_none();
}

#[test]
fn a_span_that_began_while_on_ends_although_it_is_off_by_then() {
    let tracing = TestTracing::always();
    let work = tracing.spans().span("work").run(ScriptedFuture::ready(()));
    tracing.control().set_enabled(false);
    drop(work);
    assert_outcome(&tracing.only(), Outcome::CancelledBeforeResponse);
    tracing.control().set_enabled(true);
    tracing.spans().span("after").call(|| ());
    tracing.named("after");
}

#[test]
fn under_suppression_there_is_no_span() {
    let tracing = TestTracing::always();
    for spans in [tracing.spans(), tracing.spans_without_sampler()] {
        let base = Context::new().with_telemetry_suppressed();
        let span = spans.start(&base, &untouched);
        assert!(!context_of(&span).is_valid());
        assert!(span.context().is_telemetry_suppressed());
        let remote = Caller::sampled().span_context();
        let span = spans.start_remote(&base, remote.clone(), &untouched);
        assert_eq!(context_of(&span), remote);
        assert!(span.context().is_telemetry_suppressed());
        let _attached = base.attach();
        assert_eq!(
            spans.span("work").call(current_span_context),
            SpanContext::NONE
        );
    }
    tracing.assert_none();
}

#[test]
fn after_shutdown_the_callers_context_is_passed_on() {
    let tracing = TestTracing::always();
    tracing.shutdown();
    for spans in [tracing.spans(), tracing.spans_without_sampler()] {
        for caller in [
            Caller::sampled(),
            Caller::sampled().with_tracestate("a", "b"),
        ] {
            let remote = caller.span_context();
            let span = spans.start_remote(&Context::new(), remote.clone(), &work);
            assert_eq!(context_of(&span), remote);
            assert!(!span.is_recording());
            let span = spans.start(&caller.context(), &work);
            assert_eq!(context_of(&span), remote);
        }
        let root = spans.start(&Context::new(), &work);
        assert!(!context_of(&root).is_valid());
    }
    tracing.assert_none();
}

// Unsampled: the context of a child and nothing else.

#[test]
fn an_unsampled_child_has_an_id_of_its_own_and_all_else_from_the_caller() {
    for tracing in [TestTracing::never(), TestTracing::always()] {
        for caller in [
            Caller::not_sampled(),
            remote_unsampled(),
            Caller::with_flags(0xfe),
        ] {
            let remote = caller.span_context();
            let span = tracing
                .spans()
                .start_remote(&Context::new(), remote.clone(), &untouched);
            assert!(!span.is_recording());
            assert_unsampled_child(&context_of(&span), &remote);
            // The next level down, under a local parent.
            let child = tracing.spans().start(span.context(), &untouched);
            assert_unsampled_child(&context_of(&child), &context_of(&span));
        }
        tracing.assert_none();
    }
}

#[test]
fn a_sampled_parent_that_the_sampler_drops_has_an_unsampled_child() {
    let sampler = Sampler::new(Control::new(Rate::ALWAYS)).with_remote_parent_sampled(Branch::Drop);
    let tracing = TestTracing::with_sampler(sampler);
    let remote = Caller::sampled().with_random_flag().span_context();
    let span = tracing
        .spans()
        .start_remote(&Context::new(), remote.clone(), &untouched);
    assert_unsampled_child(&context_of(&span), &remote);
    assert_eq!(context_of(&span).trace_flags(), TraceFlags::new(0x02));
    drop(span);
    tracing.assert_none();
}

#[test]
fn a_foreign_sampler_that_drops_keeps_the_trace_and_the_random_flag() {
    let provider = SdkTracerProvider::builder()
        .with_sampler(SdkSampler::AlwaysOff)
        .build();
    let spans = Spans::new(provider.tracer("foreign"));
    let remote = remote_unsampled().span_context();
    let span = spans.start_remote(&Context::new(), remote.clone(), &work);
    assert!(!span.is_recording());
    assert_unsampled_child(&context_of(&span), &remote);
}

#[test]
fn a_span_of_an_unsampled_layer_is_not_described() {
    let tracing = TestTracing::always();
    let described = Cell::new(0);
    let layer = SpanLayer::new(tracing.spans(), |_: &()| {
        described.set(described.get() + 1);
        work()
    });
    let mut service = layer.layer(tower::service_fn(async |()| Ok::<_, String>(())));
    let call = |caller: Caller, service: &mut dyn FnMut()| {
        let _attached = caller.context().attach();
        service();
    };
    call(Caller::not_sampled(), &mut || drop(service.call(())));
    assert_eq!(described.get(), 0);
    call(Caller::sampled(), &mut || drop(service.call(())));
    assert_eq!(described.get(), 1);
}

// Recorded.

#[test]
fn a_remote_sampled_parent_is_recorded_at_rate_0() {
    let tracing = TestTracing::never();
    let remote = Caller::sampled()
        .with_tracestate("vendor", "kept")
        .span_context();
    let mut span = tracing
        .spans()
        .start_remote(&Context::new(), remote.clone(), &work);
    assert!(span.is_recording());
    span.end(Outcome::Completed, None, []);
    let span = tracing.only();
    assert_child_of(&span, &remote);
    assert!(span.parent_span_is_remote);
    assert_eq!(span.span_context.trace_state().get("vendor"), Some("kept"));
}

#[test]
fn a_root_at_rate_0_is_not_recorded_and_has_a_context_all_the_same() {
    let tracing = TestTracing::never();
    let root = tracing.spans().start(&Context::new(), &work);
    assert!(!root.is_recording());
    let context = context_of(&root);
    assert!(context.is_valid() && !context.is_sampled());
    let child = tracing.spans().start(root.context(), &untouched);
    assert_unsampled_child(&context_of(&child), &context);
    tracing.assert_none();
}

#[test]
fn an_invalid_remote_context_is_no_parent() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let base = Caller::sampled().context();
    drop(spans.start_remote(&base, SpanContext::NONE, &work));
    assert_child_of(&tracing.only(), &Caller::sampled().span_context());
}

#[test]
fn a_remote_parent_goes_before_the_current_span() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let local = spans.start(&Context::new(), &work);
    let remote = Caller::sampled().span_context();
    drop(spans.start_remote(local.context(), remote.clone(), &work));
    assert_child_of(&tracing.only(), &remote);
}

// Samplers that are not ours see what they are used to see.

#[test]
fn a_foreign_sampler_is_asked_with_the_full_description() {
    let spy = SamplerSpy::new(SdkSampler::AlwaysOn);
    let memory = Memory::new();
    let provider = SdkTracerProvider::builder()
        .with_sampler(spy.clone())
        .with_span_processor(memory.clone())
        .build();
    let layer = SpanLayer::new(Spans::new(provider.tracer("foreign")), |key: &i64| {
        work()
            .with_kind(opentelemetry::trace::SpanKind::Client)
            .with_attributes([KeyValue::new("key", *key)])
            .with_links(vec![opentelemetry::trace::Link::with_context(
                Caller::sampled().span_context(),
            )])
    });
    let mut service = layer.layer(tower::service_fn(async |_: i64| Ok::<_, String>(())));
    drop(service.call(42));
    let asked = spy.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].name, "work");
    assert_eq!(asked[0].kind, opentelemetry::trace::SpanKind::Client);
    assert_eq!(asked[0].attributes, [KeyValue::new("key", 42)]);
    assert_eq!(
        asked[0].links[0].span_context,
        Caller::sampled().span_context()
    );
    assert_eq!(attribute(&memory.finished()[0], "key"), Some(42.into()));
}

#[test]
fn a_foreign_sampler_decides_under_an_unsampled_parent_too() {
    let tracing = TestTracing::always();
    let provider = SdkTracerProvider::builder()
        .with_sampler(SdkSampler::AlwaysOn)
        .build();
    let spans = Spans::new(provider.tracer("foreign"));
    let span = spans.start_remote(&Context::new(), Caller::not_sampled().span_context(), &work);
    assert!(span.is_recording());
    assert!(context_of(&span).is_sampled());
    assert!(spans.is_enabled() && spans.sampler().is_none());
    tracing.assert_none();
}

#[test]
fn attributes_that_a_sampler_adds_stay() {
    #[derive(Clone, Debug)]
    struct Stamps;
    impl opentelemetry_sdk::trace::ShouldSample for Stamps {
        fn should_sample(
            &self,
            _parent: Option<&Context>,
            _trace_id: opentelemetry::trace::TraceId,
            _name: &str,
            _kind: &opentelemetry::trace::SpanKind,
            _attributes: &[KeyValue],
            _links: &[opentelemetry::trace::Link],
        ) -> opentelemetry_sdk::trace::SamplingResult {
            opentelemetry_sdk::trace::SamplingResult {
                decision: opentelemetry_sdk::trace::SamplingDecision::RecordAndSample,
                attributes: vec![KeyValue::new("sampler", "stamps")],
                trace_state: opentelemetry::trace::TraceState::NONE,
            }
        }
    }
    let memory = Memory::new();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Stamps)
        .with_span_processor(memory.clone())
        .build();
    Spans::new(provider.tracer("foreign"))
        .span("work")
        .call(|| ());
    assert_eq!(
        text_attribute(&memory.finished()[0], "sampler").as_deref(),
        Some("stamps")
    );
}
