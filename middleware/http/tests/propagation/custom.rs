//! Any other format than W3C's, through OpenTelemetry's interface.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use towline_http::{client, server};
use towline_propagation::{CompositePropagator, Propagator, TraceContextPropagator};
use towline_test_support::{Caller, TestTracing, assert_child_of};

use crate::inside;

/// Trace id, span id and flags in one header, between slashes.
#[derive(Debug)]
struct Slashes {
    fields: [String; 1],
}

impl Slashes {
    fn new() -> Self {
        Self {
            fields: ["x-slashes".to_owned()],
        }
    }

    fn propagator() -> Propagator {
        Propagator::custom(Self::new())
    }
}

impl TextMapPropagator for Slashes {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        injector.set("x-slashes", written(cx.span().span_context()));
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let read = || {
            let mut parts = extractor.get("x-slashes")?.split('/');
            Some(SpanContext::new(
                TraceId::from_hex(parts.next()?).ok()?,
                SpanId::from_hex(parts.next()?).ok()?,
                TraceFlags::new(parts.next()?.parse().ok()?),
                true,
                TraceState::NONE,
            ))
        };
        read().map_or_else(|| cx.clone(), |parent| cx.with_remote_span_context(parent))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

fn written(context: &SpanContext) -> String {
    format!(
        "{}/{}/{}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    )
}

#[test]
fn a_server_joins_by_it_and_by_nothing_else() {
    for (flags, recorded) in [(1, 1), (0, 0)] {
        let tracing = TestTracing::always();
        let caller = Caller::with_flags(flags);
        let layer =
            server::TraceLayer::from_spans(tracing.spans()).with_propagator(Slashes::propagator());
        let seen = inside(layer, &[("x-slashes", &written(&caller.span_context()))]);
        assert_eq!(seen.current().trace_id(), caller.span_context().trace_id());
        assert_eq!(tracing.finished().len(), recorded);
        for span in tracing.finished() {
            assert_child_of(&span, &caller.span_context());
            assert!(span.parent_span_is_remote);
        }
    }
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let layer =
        server::TraceLayer::from_spans(tracing.spans()).with_propagator(Slashes::propagator());
    let seen = inside(layer, &[("traceparent", &caller.traceparent())]);
    assert_ne!(seen.current().trace_id(), caller.span_context().trace_id());
}

#[test]
fn a_client_writes_it_and_nothing_else() {
    let tracing = TestTracing::always();
    let layer =
        client::TraceLayer::from_spans(tracing.spans()).with_propagator(Slashes::propagator());
    let seen = inside(layer, &[("x-slashes", "stale"), ("x-slashes", "stale")]);
    assert_eq!(seen.header("x-slashes"), Some(&*written(&seen.current())));
    assert_eq!(seen.header("traceparent"), None);
}

#[test]
fn a_switched_off_server_still_hands_it_on() {
    let (tracing, caller) = (TestTracing::off(), Caller::sampled());
    let layer =
        server::TraceLayer::from_spans(tracing.spans()).with_propagator(Slashes::propagator());
    let seen = inside(layer, &[("x-slashes", &written(&caller.span_context()))]);
    assert_eq!(seen.current(), caller.span_context());
}

#[test]
fn several_formats_at_once_are_all_written_and_any_is_read() {
    let propagator = || {
        let mut both = CompositePropagator::new();
        both = both
            .with(TraceContextPropagator::new())
            .with(Slashes::new());
        Propagator::custom(both)
    };
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    for headers in [
        ("traceparent", caller.traceparent()),
        ("x-slashes", written(&caller.span_context())),
    ] {
        let layer = server::TraceLayer::from_spans(tracing.spans()).with_propagator(propagator());
        let seen = inside(layer, &[(headers.0, &headers.1)]);
        assert_eq!(seen.current().trace_id(), caller.span_context().trace_id());
    }
    let layer = client::TraceLayer::from_spans(tracing.spans()).with_propagator(propagator());
    let seen = inside(layer, &[]);
    assert!(seen.header("traceparent").is_some() && seen.header("x-slashes").is_some());
}

#[test]
fn no_propagator_reads_and_writes_nothing() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let line = caller.traceparent();
    let layer = server::TraceLayer::from_spans(tracing.spans()).with_propagator(Propagator::none());
    let seen = inside(layer, &[("traceparent", &line)]);
    assert_ne!(seen.current().trace_id(), caller.span_context().trace_id());

    let layer = client::TraceLayer::from_spans(tracing.spans()).with_propagator(Propagator::none());
    let seen = inside(layer, &[("traceparent", &line)]);
    assert_eq!(seen.header("traceparent"), Some(&*line));
    assert_eq!(tracing.finished().len(), 2);
}
