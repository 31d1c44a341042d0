//! Spans that a recorder keeps in place of the tracer's SDK.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, Span, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags,
    TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use towline_sampler::{Control, Limit, Rate, Sampler};
use towline_span::{Describe, Described, NewSpan, Outcome, Recorder, Recording, SpanName, Spans};
use towline_test_support::{Caller, Memory};

/// Hands what it is asked for to an SDK, and notes it.
#[derive(Debug)]
struct Notes {
    tracer: SdkTracer,
    started: Mutex<Vec<(NewSpan, SpanBuilder)>>,
    is_closed: AtomicBool,
}

/// What it starts: the context is its own, the rest somebody else's.
#[derive(Debug)]
struct Noted {
    inner: opentelemetry_sdk::trace::Span,
    span_context: SpanContext,
}

struct Setup {
    spans: Spans<SdkTracer>,
    notes: Arc<Notes>,
    control: Control,
    /// What the provider of the tracer sees.
    seen: Memory,
    kept: Memory,
}

const ROOT: u128 = 0x4bf9_2f35_77b3_4da6_00ff_ffff_ffff_ffff;

impl Recorder for Notes {
    fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::SeqCst)
    }

    fn new_trace_id(&self) -> TraceId {
        TraceId::from(ROOT)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(0x51)
    }

    fn start(
        &self,
        base: &Context,
        span: NewSpan,
        describe: &mut dyn FnMut(&mut dyn Recording),
    ) -> Context {
        let mut told = Described::with_capacity(0);
        describe(&mut told);
        let builder = told.into_builder();
        let inner = self
            .tracer
            .build_with_context(builder.clone(), &Context::new());
        let span_context = span.span_context.clone();
        self.started.lock().unwrap().push((span, builder));
        base.with_span(Noted {
            inner,
            span_context,
        })
    }
}

impl Span for Noted {
    fn add_event_with_timestamp<N>(&mut self, name: N, time: SystemTime, attributes: Vec<KeyValue>)
    where
        N: Into<std::borrow::Cow<'static, str>>,
    {
        self.inner.add_event_with_timestamp(name, time, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        self.inner.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.inner.set_attribute(attribute);
    }

    fn set_status(&mut self, status: opentelemetry::trace::Status) {
        self.inner.set_status(status);
    }

    fn update_name<N>(&mut self, name: N)
    where
        N: Into<std::borrow::Cow<'static, str>>,
    {
        self.inner.update_name(name);
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.inner.add_link(span_context, attributes);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.inner.end_with_timestamp(timestamp);
    }
}

impl Setup {
    fn new(rate: Rate) -> Self {
        Self::with(rate, |sampler| sampler)
    }

    fn with(rate: Rate, configure: impl FnOnce(Sampler) -> Sampler) -> Self {
        let (seen, kept, control) = (Memory::new(), Memory::new(), Control::new(rate));
        let sampler = configure(Sampler::new(control.clone()));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_processor(seen.clone())
            .build();
        let keeper = SdkTracerProvider::builder()
            .with_span_processor(kept.clone())
            .build();
        let notes = Arc::new(Notes {
            tracer: keeper.tracer("kept"),
            started: Mutex::default(),
            is_closed: AtomicBool::new(false),
        });
        Self {
            spans: Spans::new(provider.tracer("test"))
                .with_sampler(sampler)
                .with_recorder(notes.clone()),
            notes,
            control,
            seen,
            kept,
        }
    }

    fn started(&self) -> Vec<(NewSpan, SpanBuilder)> {
        std::mem::take(&mut self.notes.started.lock().unwrap())
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.notes.is_open() {
            assert_eq!(self.seen.started(), 0, "spans of the tracer");
        }
    }
}

fn work() -> SpanBuilder {
    SpanBuilder::from_name("work").with_kind(SpanKind::Server)
}

#[test]
fn a_child_has_the_trace_the_flags_and_the_tracestate_of_its_parent() {
    let state = TraceState::from_key_value([("a", "1"), ("b", "2")]).unwrap();
    for is_remote in [true, false] {
        for flags in [0x01, 0x03] {
            let setup = Setup::new(Rate::NEVER);
            let parent = SpanContext::new(
                TraceId::from(5),
                SpanId::from(6),
                TraceFlags::new(flags),
                is_remote,
                state.clone(),
            );
            let base = Context::new().with_value(Tenant(7));
            let span = if is_remote {
                setup.spans.start_remote(&base, parent, &work)
            } else {
                setup
                    .spans
                    .start(&base.with_remote_span_context(parent), &work)
            };
            assert!(span.is_recording());
            assert_eq!(span.context().get::<Tenant>(), Some(&Tenant(7)));
            let context = span.context().span().span_context().clone();
            let [(new, builder)] = &setup.started()[..] else {
                panic!("one span")
            };
            assert_eq!(context, new.span_context);
            assert_eq!(context.trace_id(), TraceId::from(5));
            assert_eq!(context.span_id(), SpanId::from(0x51));
            assert!(context.is_valid() && !context.is_remote());
            assert_eq!(context.trace_flags(), TraceFlags::new(flags));
            assert_eq!(context.trace_state(), &state);
            assert_eq!(new.parent_span_id, SpanId::from(6));
            assert_eq!(new.parent_is_remote, is_remote);
            assert_eq!(builder.name, "work");
            assert_eq!(builder.span_kind, Some(SpanKind::Server));
        }
    }
}

#[derive(Debug, PartialEq)]
struct Tenant(u8);

#[test]
fn a_root_is_decided_by_the_rate_and_only_described_if_it_is_recorded() {
    for (rate, sampled) in [(0, false), (1, true), (1_000_000, true)] {
        for random in [true, false] {
            let mut setup = Setup::new(Rate::per_million(rate).unwrap());
            setup.spans = setup.spans.clone().with_random_trace_ids(random);
            let span = setup.spans.start(&Context::new(), &work);
            assert_eq!(span.is_recording(), sampled);
            let context = span.context().span().span_context().clone();
            assert_eq!(context.trace_id(), TraceId::from(ROOT));
            assert!(context.is_valid());
            let expected = u8::from(sampled) | if random { 0x02 } else { 0 };
            assert_eq!(context.trace_flags().to_u8(), expected);
            let started = setup.started();
            assert_eq!(started.len(), usize::from(sampled));
            for (new, _) in started {
                assert_eq!(new.parent_span_id, SpanId::INVALID);
                assert!(!new.parent_is_remote);
            }
        }
    }
}

#[test]
fn nothing_is_recorded_of_what_is_not_sampled() {
    let setup = Setup::new(Rate::ALWAYS);
    let base = Context::new();
    let remote = setup
        .spans
        .start_remote(&base, Caller::not_sampled().span_context(), &work);
    let local = setup.spans.start(&Caller::not_sampled().context(), &work);
    assert!(!remote.is_recording() && !local.is_recording());
    setup.control.set_enabled(false);
    let off = setup
        .spans
        .start_remote(&base, Caller::sampled().span_context(), &work);
    assert_eq!(
        off.context().span().span_context(),
        &Caller::sampled().span_context()
    );
    assert!(!setup.spans.start(&base, &work).context().has_active_span());
    assert!(setup.started().is_empty());
}

#[test]
fn by_the_rate_and_by_the_limit_it_is_decided_once() {
    let setup = Setup::new(Rate::per_million(1).unwrap());
    let caller = |id: u128| {
        SpanContext::new(
            TraceId::from(id),
            SpanId::from(1),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        )
    };
    let base = Context::new();
    for (id, sampled) in [(1, false), (u128::MAX, true)] {
        let span = setup.spans.start_remote_by_rate(&base, caller(id), &work);
        assert_eq!(span.is_recording(), sampled, "{id}");
    }
    setup.control.set_remote_limit(Some(Limit::per_second(1)));
    let recorded: Vec<_> = (1..4)
        .map(|id| {
            setup
                .spans
                .start_remote(&base, caller(id), &work)
                .is_recording()
        })
        .collect();
    assert_eq!(recorded, [true, false, false]);
    assert_eq!(setup.started().len(), 2);
}

#[test]
fn a_link_goes_with_what_is_described() {
    let setup = Setup::new(Rate::ALWAYS);
    let stranger = Caller::sampled().span_context();
    drop(
        setup
            .spans
            .start_linked(&Context::new(), stranger.clone(), &work),
    );
    let (new, builder) = setup.started().remove(0);
    assert_eq!(new.parent_span_id, SpanId::INVALID);
    assert_eq!(builder.links.unwrap()[0].span_context, stranger);
}

#[test]
fn the_probability_is_told_as_the_sdk_would_tell_it() {
    let told = |sampler: Sampler| sampler.with_probability_tracestate(true);
    let setup = Setup::with(Rate::per_million(500_000).unwrap(), told);
    let span = setup.spans.start(&Context::new(), &work);
    let context = span.context().span().span_context().clone();
    assert_eq!(context.trace_state().get("ot"), Some("th:8"));
}

#[test]
fn a_builder_tells_all_it_has() {
    let setup = Setup::new(Rate::ALWAYS);
    let time = UNIX_EPOCH + Duration::from_secs(5);
    let builder = || {
        let mut builder = work()
            .with_start_time(time)
            .with_attributes([KeyValue::new("a", 1)])
            .with_events(vec![Event::new("queued", time, vec![], 0)])
            .with_links(vec![Link::with_context(Caller::sampled().span_context())]);
        builder.name = String::from("made up").into();
        builder
    };
    let mut span = setup.spans.start(&Context::new(), &builder);
    span.set_attribute(KeyValue::new("b", 2));
    span.end(Outcome::Completed, None, [KeyValue::new("c", 3)]);
    span.set_attribute(KeyValue::new("late", 4));

    let span = &setup.kept.finished()[0];
    assert_eq!(span.name, "made up");
    assert_eq!(span.start_time, time);
    let expected = [("a", 1), ("b", 2), ("c", 3)].map(|(key, value)| KeyValue::new(key, value));
    assert_eq!(span.attributes, expected);
    assert_eq!((span.events.len(), span.links.len()), (1, 1));
}

#[test]
fn closed_it_leaves_everything_to_the_tracer() {
    let setup = Setup::new(Rate::ALWAYS);
    setup.notes.is_closed.store(true, Ordering::SeqCst);
    drop(setup.spans.start(&Context::new(), &work));
    drop(
        setup
            .spans
            .start_remote(&Context::new(), Caller::sampled().span_context(), &work),
    );
    assert_eq!(setup.seen.finished().len(), 2);
    assert!(setup.started().is_empty());
}

#[test]
fn without_a_sampler_there_is_nobody_to_decide_and_the_tracer_is_asked() {
    let setup = Setup::new(Rate::ALWAYS);
    let memory = Memory::new();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(memory.clone())
        .build();
    let spans = Spans::new(provider.tracer("test")).with_recorder(setup.notes.clone());
    drop(spans.start(&Context::new(), &work));
    assert_eq!(memory.finished().len(), 1);
    assert!(setup.started().is_empty());
}

/// Has a way of its own to tell, as the layers have.
struct Told;

impl Describe for Told {
    fn describe(&self) -> SpanBuilder {
        panic!("it is not to be described")
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        panic!("it is not to be sketched")
    }

    fn record(&self, into: &mut dyn Recording) {
        into.name(SpanName::Pair("GET", "/"));
    }
}

#[test]
fn what_can_tell_is_not_asked_for_a_structure() {
    for rate in [Rate::ALWAYS, Rate::per_million(1).unwrap()] {
        let setup = Setup::new(rate);
        drop(setup.spans.start(&Context::new(), &Told));
        assert_eq!(setup.started()[0].1.name, "GET /");
    }
}
