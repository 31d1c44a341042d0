use std::cell::Cell;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, Link, SpanKind, TraceState, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use towline_sampler::{Control, Rate};
use towline_test_support::{Caller, Memory, SampledIds, SamplerSpy, TestTracing, attribute};

use super::*;
use crate::Outcome;

/// Counts how often it is asked, and has a sketch.
#[derive(Default)]
struct Sketched {
    described: Cell<usize>,
    sketched: Cell<usize>,
}

impl Describe for Sketched {
    fn describe(&self) -> SpanBuilder {
        self.described.set(self.described.get() + 1);
        SpanBuilder::from_name("GET /users/{id}")
            .with_kind(SpanKind::Server)
            .with_attributes([KeyValue::new("a", 1), KeyValue::new("b", 2)])
            .with_links(vec![Link::new(
                Caller::sampled().span_context(),
                vec![KeyValue::new("why", "retry")],
                0,
            )])
            .with_events(vec![Event::new(
                "queued",
                std::time::UNIX_EPOCH,
                vec![KeyValue::new("place", 3)],
                0,
            )])
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        self.sketched.set(self.sketched.get() + 1);
        Some(SpanBuilder::from_name("GET").with_kind(SpanKind::Server))
    }
}

impl Sketched {
    #[track_caller]
    fn assert_asked(&self, sketched: usize, described: usize) {
        assert_eq!(
            (self.sketched.take(), self.described.take()),
            (sketched, described),
            "sketched, described"
        );
    }
}

/// Over the kit's tracer, but with the types of this crate as it is compiled for its own tests.
fn spans(tracing: &TestTracing) -> Spans<SdkTracer> {
    Spans::new(tracing.tracer()).with_sampler(tracing.sampler())
}

fn spied(rate: Rate) -> (Spans<SdkTracer>, SamplerSpy<Sampler>, Memory) {
    let sampler = Sampler::new(Control::new(rate));
    let (spy, memory) = (SamplerSpy::new(sampler.clone()), Memory::new());
    let provider = SdkTracerProvider::builder()
        .with_sampler(spy.clone())
        .with_id_generator(SampledIds)
        .with_span_processor(memory.clone())
        .build();
    let spans = Spans::new(provider.tracer("test")).with_sampler(sampler);
    (spans, spy, memory)
}

#[test]
fn a_root_is_asked_for_with_its_sketch_and_then_described_in_full() {
    let (spans, spy, memory) = spied(Rate::per_million(1).unwrap());
    let description = Sketched::default();
    let mut span = spans.start(&Context::new(), &description);
    span.end(Outcome::Completed, None, [KeyValue::new("c", 3)]);
    description.assert_asked(1, 1);

    let asked = spy.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].name, "GET");
    assert_eq!(asked[0].kind, SpanKind::Server);
    assert!(asked[0].attributes.is_empty() && asked[0].links.is_empty());

    let span = &memory.finished()[0];
    assert_eq!(span.name, "GET /users/{id}");
    assert_eq!(span.span_kind, SpanKind::Server);
    for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(attribute(span, key), Some(value.into()));
    }
    assert_eq!(span.attributes.len(), 3);
    assert_eq!(span.links.len(), 1);
    assert_eq!(span.links[0].span_context, Caller::sampled().span_context());
    assert_eq!(span.links[0].attributes, [KeyValue::new("why", "retry")]);
    assert_eq!(span.events.len(), 1);
    assert_eq!(span.events[0].name, "queued");
    assert_eq!(span.events[0].timestamp, std::time::UNIX_EPOCH);
    assert_eq!(span.events[0].attributes, [KeyValue::new("place", 3)]);
}

#[test]
fn a_root_where_all_are_recorded_is_described_at_once() {
    let (spans, spy, memory) = spied(Rate::ALWAYS);
    let description = Sketched::default();
    drop(spans.start(&Context::new(), &description));
    description.assert_asked(0, 1);
    assert_eq!(spy.asked()[0].name, "GET /users/{id}");
    assert_eq!(memory.finished()[0].attributes.len(), 3);
}

#[test]
fn a_root_that_is_not_recorded_is_only_sketched() {
    let (spans, spy, memory) = spied(Rate::NEVER);
    let description = Sketched::default();
    let span = spans.start(&Context::new(), &description);
    assert!(!span.is_recording());
    description.assert_asked(1, 0);
    assert_eq!(spy.asked().len(), 1);
    assert_eq!(memory.started(), 0);
}

#[test]
fn a_child_that_will_be_recorded_is_described_at_once() {
    let (spans, spy, memory) = spied(Rate::NEVER);
    let description = Sketched::default();
    drop(spans.start_remote(
        &Context::new(),
        Caller::sampled().span_context(),
        &description,
    ));
    description.assert_asked(0, 1);
    drop(spans.start(&Caller::sampled().context(), &description));
    description.assert_asked(0, 1);
    for asked in spy.asked() {
        assert_eq!(asked.name, "GET /users/{id}");
        assert_eq!((asked.attributes.len(), asked.links.len()), (2, 1));
        assert_eq!(asked.parent.span_id(), SpanId::from(Caller::SPAN_ID));
    }
    assert_eq!(memory.finished().len(), 2);
}

#[test]
fn a_child_that_will_not_be_recorded_does_not_reach_the_tracer() {
    let (spans, spy, _memory) = spied(Rate::ALWAYS);
    let description = Sketched::default();
    let remote = Caller::not_sampled().span_context();
    drop(spans.start_remote(&Context::new(), remote, &description));
    drop(spans.start(&Caller::not_sampled().context(), &description));
    description.assert_asked(0, 0);
    assert!(spy.asked().is_empty());
}

#[test]
fn off_neither_sketches_nor_asks() {
    let (spans, spy, _memory) = spied(Rate::ALWAYS);
    spans.sampler().unwrap().control().set_enabled(false);
    let description = Sketched::default();
    drop(spans.start(&Context::new(), &description));
    drop(spans.start_remote(
        &Context::new(),
        Caller::sampled().span_context(),
        &description,
    ));
    description.assert_asked(0, 0);
    assert!(spy.asked().is_empty());
}

#[test]
fn without_a_named_sampler_there_is_no_sketch() {
    let (spans, spy, _memory) = spied(Rate::ALWAYS);
    let spans = Spans::new(spans.tracer().clone());
    let description = Sketched::default();
    drop(spans.start(&Context::new(), &description));
    description.assert_asked(0, 1);
    assert_eq!(spy.asked()[0].attributes.len(), 2);
}

#[test]
fn unsampled_ids_are_never_zero_nor_twice_the_same() {
    let spans = spans(&TestTracing::never());
    let parent = Caller::not_sampled().span_context();
    let ids: std::collections::HashSet<_> = (0..1000)
        .map(|_| {
            let span = spans.start_remote(&Context::new(), parent.clone(), &SpanBuilder::default);
            span.context().span().span_context().span_id()
        })
        .collect();
    assert_eq!(ids.len(), 1000);
    assert!(!ids.contains(&SpanId::INVALID) && !ids.contains(&parent.span_id()));
}

#[test]
fn the_flag_is_added_once_and_to_nothing_else() {
    let context = Caller::with_flags(0x81)
        .with_tracestate("a", "b")
        .span_context();
    assert_eq!(with_random_flag(context.clone(), false), context);
    let flagged = with_random_flag(context.clone(), true);
    assert_eq!(flagged.trace_flags(), TraceFlags::new(0x83));
    assert_eq!(flagged.trace_id(), context.trace_id());
    assert_eq!(flagged.span_id(), context.span_id());
    assert_eq!(flagged.is_remote(), context.is_remote());
    assert_eq!(flagged.trace_state(), context.trace_state());
    assert_ne!(flagged.trace_state(), &TraceState::NONE);
    assert_eq!(with_random_flag(flagged.clone(), true), flagged);
    assert_eq!(with_random_flag(flagged.clone(), false), flagged);
}

/// What a switch that is turned between the decision and the SDK's looks like from here.
#[test]
fn a_trace_is_not_cut_by_a_switch_that_is_turned_half_way() {
    let off = Sampler::default();
    off.control().set_enabled(false);
    let provider = SdkTracerProvider::builder().with_sampler(off).build();
    let spans = Spans::new(provider.tracer("test")).with_sampler(Sampler::default());
    let caller = Caller::sampled().span_context();
    let span = spans.start_remote(&Context::new(), caller.clone(), &|| {
        SpanBuilder::from_name("hop")
    });
    assert!(!span.is_recording());
    assert_eq!(span.context().span().span_context(), &caller);
}
