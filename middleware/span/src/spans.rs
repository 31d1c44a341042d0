use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, Tracer,
};
use towline_sampler::{Decided, Predecision, Sampler};

use crate::call::SpanCall;
use crate::flagged::FlaggedSpan;
use crate::open::OpenSpan;
use crate::record::{Recorder, Recording, tell};
use crate::recorded;
use crate::silent::Silent;

/// Starts spans, as cheaply as the sampler's decision allows.
///
/// It pairs any OpenTelemetry [`Tracer`] with, if it is given one, the [`Sampler`] that the
/// tracer's provider uses. With the sampler at hand a span that nobody will keep is never
/// described, and the SDK is not entered for it; without it every span gets its full description at
/// its start, because the tracer's own sampler may look at attributes.
///
/// # Examples
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use towline_sampler::{Control, Rate, Sampler};
/// use towline_span::Spans;
///
/// let sampler = Sampler::new(Control::new(Rate::ALWAYS));
/// let provider = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
/// let spans = Spans::new(provider.tracer("example")).with_sampler(sampler);
///
/// let sum = spans.span("cache/Sum").call(|| 1 + 1);
/// assert_eq!(sum, 2);
/// ```
#[derive(Debug)]
pub struct Spans<T> {
    /// Shared, for not every tracer can be cloned; the global one cannot.
    tracer: Arc<T>,
    sampler: Option<Sampler>,
    random_trace_ids: bool,
    recorder: Option<Arc<dyn Recorder>>,
    silent: Arc<Silent>,
}

/// Who is to say whether a span is recorded, and what has been said.
#[derive(Clone, Copy)]
enum Plan<'a> {
    /// The tracer's sampler, of which nothing is known here.
    Tracer,
    /// The named sampler, which has decided.
    Decided(&'a Sampler, Decided),
}

/// What a span is called and what is known of it at its start.
///
/// Implemented for closures that return a [`SpanBuilder`]. The layers implement it themselves to
/// put off work until a span is known to be recorded.
pub trait Describe {
    /// The name, the kind and every attribute known at the start.
    fn describe(&self) -> SpanBuilder;

    /// The least that is needed to ask whether a root will be recorded, if that is cheaper: a
    /// provisional name, the kind and, if it is not now, the start time. Used only with a sampler
    /// that looks at none of them. If the span is recorded, the rest is taken from
    /// [`describe`](Self::describe) and added to it, so there must be no attributes here.
    ///
    /// Without a sketch a root is described in full although it may not be recorded.
    fn sketch(&self) -> Option<SpanBuilder> {
        None
    }

    /// The same as [`describe`](Self::describe), told to a [`Recorder`]'s span without a structure in
    /// between. By default it tells what `describe` answers.
    fn record(&self, into: &mut dyn Recording) {
        tell(self.describe(), into);
    }
}

// === impl Spans ===

impl<T> Spans<T> {
    /// Starts spans with this tracer.
    pub fn new(tracer: T) -> Self {
        Self {
            tracer: Arc::new(tracer),
            sampler: None,
            random_trace_ids: true,
            recorder: None,
            silent: Arc::default(),
        }
    }

    /// Names the sampler of the tracer's provider, so that its decision can be had beforehand and
    /// its [`Control`](towline_sampler::Control) obeyed.
    ///
    /// It must be the very sampler that the provider uses; otherwise spans are described too
    /// little, or started for nothing.
    #[must_use]
    pub fn with_sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Says whether the tracer makes trace ids whose rightmost 56 bits are random. Default: true,
    /// as the OpenTelemetry SDK's `RandomIdGenerator` does.
    ///
    /// If so, spans without a parent carry the [random flag] of W3C Trace Context level 2, and so
    /// do their descendants. Say `false` for an id generator of another kind.
    ///
    /// [random flag]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#random-trace-id-flag
    #[must_use]
    pub fn with_random_trace_ids(mut self, random: bool) -> Self {
        self.random_trace_ids = random;
        self
    }

    /// Records spans with this in place of the tracer, which is then not asked: no span processor of its
    /// provider sees them, and its id generator and limits do not count. Default: the tracer's.
    ///
    /// It has an effect only with the [sampler](Self::with_sampler) named, which then decides alone.
    /// What is made by [`tracer`](Self::tracer) goes through the SDK as ever, and the two nest.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The tracer.
    pub fn tracer(&self) -> &T {
        &self.tracer
    }

    /// The sampler, if it was named.
    pub fn sampler(&self) -> Option<&Sampler> {
        self.sampler.as_ref()
    }

    /// Whether tracing is switched on; always true without a sampler.
    pub fn is_enabled(&self) -> bool {
        self.sampler
            .as_ref()
            .is_none_or(|sampler| sampler.control().is_enabled())
    }
}

impl<T> Spans<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    /// A span around a future, a stream or a closure; see [`SpanCall`].
    pub fn span(&self, name: impl Into<Cow<'static, str>>) -> SpanCall<'_, T> {
        SpanCall::new(self, name.into())
    }

    /// Starts a span under the span that is current in `base`.
    pub fn start(&self, base: &Context, description: &impl Describe) -> OpenSpan {
        let parent = base.span();
        let parent = parent.span_context();
        match self.plan(base, |sampler| sampler.decide(parent)) {
            None => OpenSpan::passing(base.clone()),
            Some(plan) if parent.is_valid() && plan.is_no() => plan.unsampled(base, parent),
            Some(plan) => match (plan, self.open_recorder()) {
                (Plan::Decided(sampler, decided), Some(recorder)) if parent.is_valid() => {
                    recorded::child(recorder, base, (sampler, decided), parent, description)
                }
                (Plan::Decided(sampler, _), Some(recorder)) => {
                    let random = self.random_trace_ids;
                    recorded::root(recorder, base, (sampler, random), parent, description)
                }
                _ => self.build(base, plan, description),
            },
        }
    }

    /// Starts a span under a parent that has come from elsewhere, in the context `base`.
    ///
    /// A `remote` context that is invalid is no parent: the span goes under what is current in
    /// `base`. For a trace that is not sampled this is one allocation, and none for the parent.
    pub fn start_remote(
        &self,
        base: &Context,
        remote: SpanContext,
        description: &impl Describe,
    ) -> OpenSpan {
        let plan = self.plan(base, |sampler| sampler.decide(&remote));
        self.start_planned(base, remote, plan, description)
    }

    /// The same, for a parent whose *sampled* flag does not count: whether the span is recorded is up
    /// to the rate alone, by the trace id. Without a [sampler](Self::with_sampler) there is no rate, and
    /// a flag that does not count is one that is not set.
    ///
    /// While tracing is off the context is passed on without the flag, so that it does not count
    /// behind this process either.
    pub fn start_remote_by_rate(
        &self,
        base: &Context,
        remote: SpanContext,
        description: &impl Describe,
    ) -> OpenSpan {
        match self.plan(base, |sampler| sampler.decide_by_rate(&remote)) {
            None | Some(Plan::Tracer) => {
                self.start_remote(base, without_sampled_flag(&remote), description)
            }
            plan => self.start_planned(base, remote, plan, description),
        }
    }

    fn start_planned(
        &self,
        base: &Context,
        remote: SpanContext,
        plan: Option<Plan<'_>>,
        description: &impl Describe,
    ) -> OpenSpan {
        if !remote.is_valid() {
            return self.start(base, description);
        }
        match plan {
            Some(plan) if plan.is_no() => plan.unsampled(base, &remote),
            plan => {
                if let Some(Plan::Decided(sampler, decided)) = plan
                    && let Some(recorder) = self.open_recorder()
                {
                    let decision = (sampler, decided);
                    return recorded::child(recorder, base, decision, &remote, description);
                }
                let base = base.with_remote_span_context(remote);
                match plan {
                    None => OpenSpan::passing(base),
                    Some(plan) => self.build(&base, plan, description),
                }
            }
        }
    }

    /// What is to be done; nothing where tracing is off.
    fn plan(
        &self,
        base: &Context,
        decide: impl FnOnce(&Sampler) -> Option<Decided>,
    ) -> Option<Plan<'_>> {
        if base.is_telemetry_suppressed() {
            return None;
        }
        match &self.sampler {
            None => Some(Plan::Tracer),
            Some(sampler) => Some(Plan::Decided(sampler, decide(sampler)?)),
        }
    }

    /// Who records spans without the tracer, if anybody does.
    fn open_recorder(&self) -> Option<&dyn Recorder> {
        self.recorder
            .as_deref()
            .filter(|recorder| recorder.is_open())
    }

    fn build(&self, base: &Context, plan: Plan<'_>, description: &impl Describe) -> OpenSpan {
        let (predecision, settled) = match &plan {
            Plan::Tracer => (Predecision::Yes, None),
            Plan::Decided(_, decided) => (decided.predecision(), decided.settle(base)),
        };
        let sketch = match predecision {
            Predecision::Ask => description.sketch(),
            Predecision::Yes | Predecision::No => None,
        };
        let sketched = sketch.is_some();
        let builder = sketch.unwrap_or_else(|| description.describe());
        let asked = settled.as_ref().unwrap_or(base);
        let mut span = self.tracer.build_with_context(builder, asked);
        if self.recorder.is_none() {
            self.silent.look_at(&span, base);
        }
        if !span.span_context().is_valid() {
            // The tracer has shut down: what the caller sent is passed on as it is.
            return OpenSpan::passing(base.clone());
        }
        if !span.is_recording() && predecision == Predecision::Yes && self.sampler.is_some() {
            // The sampler has changed its mind, so it was switched off in between, and may be on
            // again by now. A hop that is out of a trace must not cut it.
            return OpenSpan::passing(base.clone());
        }
        let random = self.is_random(base.span().span_context());
        if !span.is_recording() {
            let context = with_random_flag(span.span_context().clone(), random);
            return OpenSpan::new(base.with_remote_span_context(context), false);
        }
        if sketched {
            let described = description.describe();
            span.update_name(described.name);
            span.set_attributes(described.attributes.unwrap_or_default());
            for link in described.links.unwrap_or_default() {
                span.add_link(link.span_context, link.attributes);
            }
            for event in described.events.unwrap_or_default() {
                span.add_event_with_timestamp(event.name, event.timestamp, event.attributes);
            }
        }
        let context = if random && !has_random_flag(span.span_context()) {
            base.with_span(FlaggedSpan::new(span))
        } else {
            base.with_span(span)
        };
        OpenSpan::new(context, true)
    }

    /// Whether a child of this parent belongs to a trace with a random id.
    fn is_random(&self, parent: &SpanContext) -> bool {
        if parent.is_valid() {
            has_random_flag(parent)
        } else {
            self.random_trace_ids
        }
    }
}

impl<T> Clone for Spans<T> {
    fn clone(&self) -> Self {
        Self {
            tracer: Arc::clone(&self.tracer),
            sampler: self.sampler.clone(),
            random_trace_ids: self.random_trace_ids,
            recorder: self.recorder.clone(),
            silent: Arc::clone(&self.silent),
        }
    }
}

// === impl Plan ===

impl Plan<'_> {
    fn is_no(self) -> bool {
        matches!(self, Self::Decided(_, decided) if decided.predecision() == Predecision::No)
    }

    /// A child that is not sampled: a new span id and nothing else, in one allocation.
    fn unsampled(self, base: &Context, parent: &SpanContext) -> OpenSpan {
        let trace_state = match self {
            Plan::Decided(sampler, _) => sampler.unsampled_trace_state(parent),
            Plan::Tracer => parent.trace_state().clone(),
        };
        let child = SpanContext::new(
            parent.trace_id(),
            SpanId::from(fastrand::u64(1..)),
            parent.trace_flags().with_sampled(false),
            false,
            trace_state,
        );
        OpenSpan::new(base.with_remote_span_context(child), false)
    }
}

// === impl Describe ===

impl<F: Fn() -> SpanBuilder> Describe for F {
    fn describe(&self) -> SpanBuilder {
        self()
    }
}

fn without_sampled_flag(context: &SpanContext) -> SpanContext {
    SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags().with_sampled(false),
        context.is_remote(),
        context.trace_state().clone(),
    )
}

pub(crate) fn with_random_flag(context: SpanContext, random: bool) -> SpanContext {
    if !random || has_random_flag(&context) {
        return context;
    }
    SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags() | RANDOM,
        context.is_remote(),
        context.trace_state().clone(),
    )
}

fn has_random_flag(context: &SpanContext) -> bool {
    (context.trace_flags() & RANDOM) == RANDOM
}

pub(crate) const RANDOM: TraceFlags = TraceFlags::new(0x02);

#[cfg(test)]
mod tests;
