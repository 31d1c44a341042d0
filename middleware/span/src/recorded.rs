//! Starting spans by a [`Recorder`], without a tracer.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags};
use towline_sampler::{Decided, Predecision, Sampler};

use crate::open::OpenSpan;
use crate::record::{NewSpan, Recorder};
use crate::spans::{Describe, RANDOM};

/// A span that is recorded under this parent, as was decided.
pub(crate) fn child(
    recorder: &dyn Recorder,
    base: &Context,
    (sampler, decided): (&Sampler, Decided),
    parent: &SpanContext,
    description: &impl Describe,
) -> OpenSpan {
    let trace_id = parent.trace_id();
    let span_context = SpanContext::new(
        trace_id,
        recorder.new_span_id(),
        parent.trace_flags().with_sampled(true),
        false,
        sampler.child_trace_state(&decided, trace_id, parent.trace_state()),
    );
    let span = NewSpan::new(span_context, parent.span_id(), parent.is_remote());
    start(recorder, base, span, description)
}

/// The beginning of a trace, recorded or not, beside a parent that is none; whether its id is random is said
/// with the sampler.
pub(crate) fn root(
    recorder: &dyn Recorder,
    base: &Context,
    (sampler, random): (&Sampler, bool),
    beside: &SpanContext,
    description: &impl Describe,
) -> OpenSpan {
    let trace_id = recorder.new_trace_id();
    let Some(decided) = sampler.decide_root(trace_id, beside) else {
        // It has been switched off since it was asked first.
        return OpenSpan::passing(base.clone());
    };
    let sampled = decided.predecision() == Predecision::Yes;
    let flags = if random {
        RANDOM
    } else {
        TraceFlags::NOT_SAMPLED
    };
    let span_context = SpanContext::new(
        trace_id,
        recorder.new_span_id(),
        flags.with_sampled(sampled),
        false,
        sampler.root_trace_state(&decided, trace_id, beside),
    );
    if !sampled {
        return OpenSpan::new(base.with_remote_span_context(span_context), false);
    }
    let span = NewSpan::new(span_context, SpanId::INVALID, false);
    start(recorder, base, span, description)
}

fn start(
    recorder: &dyn Recorder,
    base: &Context,
    span: NewSpan,
    description: &impl Describe,
) -> OpenSpan {
    let context = recorder.start(base, span, &mut |into| description.record(into));
    OpenSpan::new(context, true)
}
