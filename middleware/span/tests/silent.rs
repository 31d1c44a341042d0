//! A tracer with nothing behind it is told of, once; alone in its process.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, SpanId, TraceContextExt, TraceId, noop::NoopTracer};
use towline_span::{NewSpan, Recorder, Recording, Spans};
use towline_test_support::{Caller, LogCounter, TestTracing};
use tracing::Level;

/// Has been shut down.
#[derive(Debug)]
struct Closed;

impl Recorder for Closed {
    fn is_open(&self) -> bool {
        false
    }

    fn new_trace_id(&self) -> TraceId {
        TraceId::INVALID
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::INVALID
    }

    fn start(
        &self,
        base: &Context,
        _span: NewSpan,
        _describe: &mut dyn FnMut(&mut dyn Recording),
    ) -> Context {
        base.clone()
    }
}

#[test]
fn a_tracer_with_no_provider_behind_it_is_told_of_once_in_a_process() {
    let logs = LogCounter::new();
    logs.observe(|| {
        let work = || SpanBuilder::from_name("work");
        let remote = Caller::sampled().span_context();
        // Whatever works, is off, is suppressed or is not sampled is nothing to tell of.
        for tracing in [
            TestTracing::always(),
            TestTracing::never(),
            TestTracing::off(),
        ] {
            let spans = tracing.spans();
            drop(spans.start(&Context::new(), &work));
            drop(spans.start_remote(&Context::new(), remote.clone(), &work));
            tracing.shutdown();
            drop(spans.start(&Context::new(), &work));
        }
        let quiet = Spans::new(NoopTracer::new());
        let suppressed = Context::new().with_telemetry_suppressed();
        drop(quiet.start(&suppressed, &work));
        let off = Spans::new(NoopTracer::new()).with_sampler(TestTracing::off().sampler());
        drop(off.start_remote(&Context::new(), remote.clone(), &work));
        // Behind a recorder that was closed the tracer is asked, and was shut down with it.
        let tracing = TestTracing::always();
        let recorded = Spans::new(NoopTracer::new())
            .with_sampler(tracing.sampler())
            .with_recorder(Arc::new(Closed));
        drop(recorded.start_remote(&Context::new(), remote.clone(), &work));
        drop(recorded.start(&Context::new(), &work));
        assert_eq!(logs.total(), 0);

        let span = quiet.start_remote(&Context::new(), remote.clone(), &work);
        assert_eq!(logs.count(Level::WARN), 1);
        assert_eq!(span.context().span().span_context(), &remote);
        for spans in [quiet, Spans::new(NoopTracer::new())] {
            drop(spans.start(&Context::new(), &work));
            drop(spans.start_remote(&Context::new(), remote.clone(), &work));
        }
        // Where it comes from in real life: nobody has set the global provider.
        let global = Spans::new(opentelemetry::global::tracer("users"));
        drop(global.start(&Context::new(), &work));
    });
    let lines = logs.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].target, "towline");
    assert!(lines[0].message.contains("no provider behind it"));
}
