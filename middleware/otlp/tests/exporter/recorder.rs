//! Spans that are recorded without the SDK arrive as those of the SDK do.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
    TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use towline_otlp::Exporter;
use towline_sampler::{Control, Rate, Sampler};
use towline_span::{Described, NewSpan, OpenSpan, Outcome, Recorder, Recording, SpanName, Spans};

use crate::support::spans::{
    any_attribute, any_event, any_link, any_span, any_status, any_text, any_time,
};
use crate::support::transport::Scripted;

mod groups;

/// An exporter, and two ways to it.
struct Ways {
    transport: Scripted,
    exporter: Exporter,
    provider: SdkTracerProvider,
    by_sdk: Spans<SdkTracer>,
    by_itself: Spans<SdkTracer>,
}

/// Something that is said to a span that has begun.
#[derive(Clone, Debug)]
enum Said {
    Attribute(KeyValue),
    Attributes(Vec<KeyValue>),
    Event(Event),
    Link(Link),
    Status(Status),
    Name(String),
    Error,
    End(SystemTime),
}

impl Ways {
    fn new() -> Self {
        Self::limited(SpanLimits::default())
    }

    fn limited(limits: SpanLimits) -> Self {
        let transport = Scripted::accepting();
        let (processor, exporter) = Exporter::builder()
            .transport(transport.clone())
            .build()
            .unwrap();
        let sampler = Sampler::new(Control::new(Rate::ALWAYS));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_limits(limits)
            .with_span_processor(processor)
            .build();
        let scope = |name: &'static str| InstrumentationScope::builder(name).build();
        let by_sdk =
            Spans::new(provider.tracer_with_scope(scope("sdk"))).with_sampler(sampler.clone());
        let by_itself = Spans::new(provider.tracer_with_scope(scope("itself")))
            .with_sampler(sampler)
            .with_recorder(Arc::new(exporter.recorder(scope("itself"), limits)));
        Self {
            transport,
            exporter,
            provider,
            by_sdk,
            by_itself,
        }
    }

    /// The spans that have arrived, of the one scope and of the other.
    fn arrived(&self) -> (Vec<Span>, Vec<Span>) {
        self.exporter
            .blocking_flush(Duration::from_secs(30))
            .unwrap();
        let (mut sdk, mut itself) = (Vec::new(), Vec::new());
        for request in self.transport.requests() {
            for scope in request
                .resource_spans
                .into_iter()
                .flat_map(|it| it.scope_spans)
            {
                match &*scope.scope.unwrap().name {
                    "sdk" => sdk.extend(scope.spans),
                    "itself" => itself.extend(scope.spans),
                    name => panic!("{name}"),
                }
            }
        }
        (sdk, itself)
    }

    /// That what has arrived on the two ways is the same but for the ids; gives those of the second.
    #[track_caller]
    fn assert_same(&self) -> Vec<Span> {
        let (sdk, itself) = self.arrived();
        let told = |spans: &[Span]| {
            let mut spans = spans.to_vec();
            for span in &mut spans {
                assert_eq!(span.span_id.len(), 8);
                span.span_id.clear();
            }
            // As text, since NaN is not equal to itself.
            format!("{spans:#?}")
        };
        assert_eq!(told(&itself), told(&sdk));
        itself
    }
}

fn parent(flags: u8) -> SpanContext {
    let trace_state = TraceState::from_key_value([("a", "1"), ("b", "2")]).unwrap();
    parent_with(flags, trace_state)
}

fn parent_with(flags: u8, trace_state: TraceState) -> SpanContext {
    SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::new(flags),
        true,
        trace_state,
    )
}

/// A child of [`parent_with`], as a recorder is given it.
fn child_with(trace_state: TraceState) -> SpanContext {
    SpanContext::new(
        TraceId::from(1),
        SpanId::from(3),
        TraceFlags::SAMPLED,
        false,
        trace_state,
    )
}

/// None, as most have it, none that is a list all the same, and two members.
fn any_trace_state() -> impl Strategy<Value = TraceState> {
    prop_oneof![
        Just(TraceState::NONE),
        Just(TraceState::from_key_value::<[(&str, &str); 0], _, _>([]).unwrap()),
        Just(parent(1).trace_state().clone()),
    ]
}

/// A builder that says what this span has at its start.
fn builder(span: &SpanData) -> SpanBuilder {
    let mut builder = SpanBuilder::from_name(span.name.clone())
        .with_kind(span.span_kind.clone())
        .with_start_time(span.start_time)
        .with_attributes(span.attributes.clone());
    builder.events = Some(span.events.events.clone());
    builder.links = Some(span.links.links.clone());
    builder
}

fn say(context: &Context, said: &[Said]) {
    let span = context.span();
    for said in said.iter().cloned() {
        match said {
            Said::Attribute(attribute) => span.set_attribute(attribute),
            Said::Attributes(attributes) => span.set_attributes(attributes),
            Said::Event(event) => {
                span.add_event_with_timestamp(event.name, event.timestamp, event.attributes);
            }
            Said::Link(link) => span.add_link(link.span_context, link.attributes),
            Said::Status(status) => span.set_status(status),
            Said::Name(name) => span.update_name(name),
            Said::Error => span.add_event_with_timestamp("exception", UNIX_EPOCH, vec![]),
            Said::End(time) => span.end_with_timestamp(time),
        }
    }
}

fn anything() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => any_attribute().prop_map(Said::Attribute),
        1 => vec(any_attribute(), 0..4).prop_map(Said::Attributes),
        2 => any_event().prop_map(Said::Event),
        2 => any_link().prop_map(Said::Link),
        2 => any_status().prop_map(Said::Status),
        2 => any_text().prop_map(Said::Name),
        1 => Just(Said::Error),
        1 => any_time().prop_map(Said::End),
    ]
}

fn any_limits() -> impl Strategy<Value = SpanLimits> {
    let limit = || prop_oneof![1 => Just(128u32), 1 => 0u32..4];
    (limit(), limit(), limit(), limit(), limit()).prop_map(
        |(attributes, events, links, of_event, of_link)| SpanLimits {
            max_attributes_per_span: attributes,
            max_events_per_span: events,
            max_links_per_span: links,
            max_attributes_per_event: of_event,
            max_attributes_per_link: of_link,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_arrives_as_the_sdk_would_send_it(
        spans in vec((any_span(), vec(anything(), 0..12), any_time()), 1..5),
        limits in any_limits(),
        chars in prop_oneof![Just(None), (0usize..6).prop_map(Some)],
        random in any::<bool>(),
        trace_state in any_trace_state(),
    ) {
        let ways = Ways::limited(limits);
        ways.exporter.set_attribute_value_length_limit(chars);
        let flags = if random { 0x03 } else { 0x01 };
        for way in [&ways.by_sdk, &ways.by_itself] {
            for (start, said, end) in &spans {
                let describe = || builder(start);
                let parent = parent_with(flags, trace_state.clone());
                let mut span = way.start_remote(&Context::new(), parent, &describe);
                say(span.context(), said);
                say(span.context(), &[Said::End(*end)]);
                span.end(Outcome::Completed, None, [KeyValue::new("late", 1)]);
            }
        }
        let itself = ways.assert_same();
        prop_assert_eq!(itself.len(), spans.len());
        for span in itself {
            prop_assert_eq!(span.flags & 0xff, u32::from(flags));
            prop_assert_eq!(&span.trace_state, &trace_state.header());
        }
    }
}

#[test]
fn a_root_has_the_random_flag_that_the_sdk_leaves_out() {
    let ways = Ways::new();
    drop(
        ways.by_sdk
            .start(&Context::new(), &|| SpanBuilder::from_name("root")),
    );
    drop(
        ways.by_itself
            .start(&Context::new(), &|| SpanBuilder::from_name("root")),
    );
    let (sdk, itself) = ways.arrived();
    assert_eq!((sdk[0].flags, itself[0].flags), (0x101, 0x103));
    assert!(itself[0].parent_span_id.is_empty());
    assert_ne!(itself[0].trace_id, [0; 16]);
    assert_ne!(itself[0].trace_id, sdk[0].trace_id);
}

#[test]
fn times_are_those_of_the_clock_unless_they_are_given() {
    let ways = Ways::new();
    let before = SystemTime::now();
    let mut span = ways
        .by_itself
        .start(&Context::new(), &|| SpanBuilder::from_name("timed"));
    span.end(Outcome::Completed, None, []);
    let after = SystemTime::now();
    drop(
        ways.by_itself
            .start(&Context::new(), &|| SpanBuilder::from_name("dropped")),
    );
    let (_, spans) = ways.arrived();
    let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let span = &spans[0];
    assert!(nanos(before) <= span.start_time_unix_nano);
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    assert!(span.end_time_unix_nano <= nanos(after));
    assert!(spans[1].end_time_unix_nano >= span.end_time_unix_nano);
}

#[test]
fn spans_of_both_kinds_nest_in_each_other() {
    let ways = Ways::new();
    let outer = ways
        .by_itself
        .start(&Context::new(), &|| SpanBuilder::from_name("outer"));
    let middle = ways
        .by_sdk
        .start(outer.context(), &|| SpanBuilder::from_name("middle"));
    let inner = ways
        .by_itself
        .start(middle.context(), &|| SpanBuilder::from_name("inner"));
    let id = |span: &OpenSpan| span.context().span().span_context().span_id().to_bytes();
    let ids = [id(&outer), id(&middle), id(&inner)];
    drop((inner, middle, outer));
    let (sdk, itself) = ways.arrived();
    assert_eq!(sdk[0].parent_span_id, ids[0]);
    assert_eq!(itself[0].parent_span_id, ids[1]);
    assert_eq!(itself[1].span_id, ids[0]);
    let traces: Vec<_> = sdk
        .iter()
        .chain(&itself)
        .map(|span| &span.trace_id)
        .collect();
    assert!(traces.iter().all(|id| *id == traces[0]));
    assert_eq!(itself[0].kind, 1);
    // None of the parents is remote, and all of them are random.
    assert!(itself.iter().all(|span| span.flags == 0x103));
}

#[test]
fn a_span_that_ends_on_another_thread_or_late_is_counted_once() {
    let ways = Ways::new();
    let spans: Vec<_> = (0..100)
        .map(|_| {
            ways.by_itself
                .start(&Context::new(), &|| SpanBuilder::from_name("moved"))
        })
        .collect();
    let context = spans[0].context().clone();
    std::thread::spawn(move || drop(spans)).join().unwrap();
    context.span().set_attribute(KeyValue::new("late", 1));
    context.span().end();
    drop(context);
    let (_, spans) = ways.arrived();
    assert_eq!(spans.len(), 100);
    // The outcome, and nothing that came later.
    assert!(spans.iter().all(|span| span.attributes.len() == 1));
    let stats = ways.exporter.stats();
    assert_eq!((stats.ended, stats.exported), (100, 100));
}

#[test]
fn after_the_provider_no_spans_are_started_and_the_callers_are_passed_on() {
    let ways = Ways::new();
    let open = ways
        .by_itself
        .start(&Context::new(), &|| SpanBuilder::from_name("open"));
    ways.provider.shutdown().unwrap();
    let span = ways
        .by_itself
        .start_remote(&Context::new(), parent(0x01), &|| {
            SpanBuilder::from_name("late")
        });
    assert!(!span.is_recording());
    assert_eq!(span.context().span().span_context(), &parent(0x01));
    drop((open, span));
    let stats = ways.exporter.stats();
    assert_eq!((stats.ended, stats.exported), (1, 0));
    assert_eq!(stats.dropped.shutdown, 1);
}

#[test]
fn a_full_buffer_refuses_it_as_it_refuses_any() {
    let (_processor, exporter) = Exporter::builder()
        .transport(Scripted::hanging())
        .buffer_spans(10)
        .build()
        .unwrap();
    let sampler = Sampler::new(Control::new(Rate::ALWAYS));
    let provider = SdkTracerProvider::builder().build();
    let scope = InstrumentationScope::builder("itself").build();
    let spans = Spans::new(provider.tracer("unused"))
        .with_sampler(sampler)
        .with_recorder(Arc::new(exporter.recorder(scope, SpanLimits::default())));
    for _ in 0..25 {
        drop(spans.start(&Context::new(), &|| SpanBuilder::from_name("many")));
    }
    let stats = exporter.stats();
    assert_eq!(stats.ended, 25);
    assert_eq!(stats.dropped.buffer_full, 15);
    assert_eq!(stats.held + stats.in_flight, 10);
}

#[test]
fn a_long_name_and_long_texts_are_whole() {
    for len in [0, 1, 100, 120, 127, 128, 5_000, 100_000] {
        let ways = Ways::new();
        let (name, text) = ("n".repeat(len), "v".repeat(len));
        let describe = || {
            SpanBuilder::from_name(name.clone())
                .with_attributes([KeyValue::new("text", text.clone())])
        };
        for way in [&ways.by_sdk, &ways.by_itself] {
            let span = way.start_remote(&Context::new(), parent(0x01), &describe);
            let times = [Said::Name("x".repeat(len / 2)), Said::Name(name.clone())];
            say(span.context(), &times);
            say(span.context(), &[Said::End(UNIX_EPOCH)]);
        }
        let (sdk, itself) = ways.arrived();
        assert_eq!(itself[0].name, sdk[0].name);
        assert_eq!(itself[0].attributes, sdk[0].attributes);
    }
}

#[test]
fn what_layers_tell_piece_by_piece_is_the_same_as_in_one_piece() {
    let long = "0123456789".repeat(20);
    let tell = |into: &mut dyn Recording| {
        into.text("text", &long);
        into.text_of_parts("parts", &["http", "://", "", &long]);
        into.text_of_parts("none", &[]);
        into.frequent_texts(&["frequent", "again"], "€uro");
        into.fixed_text("fixed", "GET");
        into.number("number", -1);
        into.number("port", 8080);
        into.name(SpanName::Pair("GET", &long));
        into.kind(SpanKind::Server);
        into.start_time(UNIX_EPOCH + Duration::from_secs(3));
    };
    let trace_state = parent(1).trace_state().clone();
    for chars in [None, Some(0), Some(1), Some(7), Some(1_000)] {
        for attributes in [128, 4] {
            let limits = SpanLimits {
                max_attributes_per_span: attributes,
                ..SpanLimits::default()
            };
            let ways = Ways::limited(limits);
            ways.exporter.set_attribute_value_length_limit(chars);
            let describe = || {
                let mut told = Described::with_capacity(0);
                tell(&mut told);
                told.into_builder()
            };
            let span = ways.by_sdk.start_remote(
                &Context::new(),
                parent_with(1, trace_state.clone()),
                &describe,
            );
            say(span.context(), &[Said::End(UNIX_EPOCH)]);

            let scope = InstrumentationScope::builder("itself").build();
            let recorder = ways.exporter.recorder(scope, limits);
            let new = NewSpan::new(child_with(trace_state.clone()), SpanId::from(2), true);
            let span = recorder.start(&Context::new(), new, &mut |into| tell(into));
            span.span().end_with_timestamp(UNIX_EPOCH);
            ways.assert_same();
        }
    }
}

#[test]
fn a_span_that_is_dropped_without_an_end_ends_then() {
    let ways = Ways::new();
    let scope = InstrumentationScope::builder("itself").build();
    let recorder = ways.exporter.recorder(scope, SpanLimits::default());
    let new = NewSpan::new(parent(1), SpanId::INVALID, false);
    let context = recorder.start(&Context::new(), new, &mut |into| {
        into.name(SpanName::Fixed("dropped"));
    });
    let clone = context.clone();
    drop(context);
    assert_eq!(ways.exporter.stats().ended, 0);
    drop(clone);
    let (_, spans) = ways.arrived();
    assert_eq!(spans[0].name, "dropped");
    assert!(spans[0].end_time_unix_nano >= spans[0].start_time_unix_nano);
}

/// A kind that is none of HTTP's.
#[test]
fn kinds_are_kept() {
    let ways = Ways::new();
    for kind in [SpanKind::Producer, SpanKind::Consumer, SpanKind::Client] {
        let describe = || SpanBuilder::from_name("kind").with_kind(kind.clone());
        drop(ways.by_itself.start(&Context::new(), &describe));
    }
    drop(ways.provider.tracer("sdk").start("kind"));
    let (_, itself) = ways.arrived();
    let kinds: Vec<_> = itself.iter().map(|span| span.kind).collect();
    assert_eq!(kinds, [4, 5, 3]);
}

#[test]
fn a_span_whose_description_panics_was_never_there() {
    let ways = Ways::new();
    let scope = InstrumentationScope::builder("itself").build();
    let recorder = ways.exporter.recorder(scope, SpanLimits::default());
    let new = || NewSpan::new(parent(1), SpanId::INVALID, false);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        recorder.start(&Context::new(), new(), &mut |into| {
            into.name(SpanName::Fixed("broken"));
            panic!("a function of the user's");
        })
    }));
    assert!(caught.is_err());
    assert_eq!(ways.exporter.stats().ended, 0);
    // What it has left behind is not in the next one.
    drop(recorder.start(&Context::new(), new(), &mut |into| {
        into.name(SpanName::Fixed("whole"));
    }));
    let (_, spans) = ways.arrived();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, "whole");
}

#[test]
fn a_span_outlives_the_last_handle_on_its_provider() {
    let transport = Scripted::accepting();
    let (processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let scope = InstrumentationScope::builder("itself").build();
    let recorder = exporter
        .recorder(scope, SpanLimits::default())
        .with_provider(provider);
    let new = NewSpan::new(parent(1), SpanId::INVALID, false);
    let context = recorder.start(&Context::new(), new, &mut |into| {
        into.name(SpanName::Fixed("last"));
    });
    drop(recorder);
    drop(context);
    // With it went the provider, which delivers what is there.
    let stats = exporter.stats();
    assert_eq!((stats.ended, stats.exported), (1, 1));
    assert_eq!(transport.requests().len(), 1);
}

#[test]
fn a_span_can_end_while_its_thread_is_torn_down() {
    thread_local! {
        static EARLY: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
        static LATE: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
    }
    let ways = Ways::new();
    let scope = InstrumentationScope::builder("itself").build();
    let recorder = ways.exporter.recorder(scope, SpanLimits::default());
    let thread = std::thread::spawn(move || {
        let start = |name| {
            let new = NewSpan::new(parent(1), SpanId::INVALID, false);
            recorder.start(&Context::new(), new, &mut |into| {
                into.name(SpanName::Fixed(name));
            })
        };
        // One is touched before what the recorder keeps for the thread and the other behind, so that one of
        // them is dropped when that is gone.
        EARLY.with_borrow_mut(|kept| kept.push(Context::new()));
        drop(start("plain"));
        EARLY.with_borrow_mut(|kept| kept.push(start("early")));
        LATE.with_borrow_mut(|kept| kept.push(start("late")));
    });
    thread.join().unwrap();
    let (_, spans) = ways.arrived();
    let mut names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["early", "late", "plain"]);
}

#[test]
fn a_span_can_start_and_end_while_the_current_context_is_borrowed() {
    let ways = Ways::new();
    let outer = ways
        .by_itself
        .start(&Context::new(), &|| SpanBuilder::from_name("outer"));
    let attached = outer.context().clone().attach();
    Context::map_current(|current| {
        let mut inner = ways
            .by_itself
            .start(current, &|| SpanBuilder::from_name("inner"));
        inner.end(Outcome::Completed, None, [KeyValue::new("number", 1)]);
    });
    drop((attached, outer));
    let (_, spans) = ways.arrived();
    assert_eq!(spans[0].name, "inner");
    assert_eq!(spans[0].parent_span_id, spans[1].span_id);
}
