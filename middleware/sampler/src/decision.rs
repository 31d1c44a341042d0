use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};

use crate::rate::Threshold;
use crate::sampler::Predecision;

/// Whether a span is sampled, and for what reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Sample(By),
    Drop(By),
}

/// What a decision was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The parent's decision was kept.
    Parent,
    /// The randomness of the trace, against this threshold.
    Rate(Threshold),
    /// Something that has no probability: an option against the parent.
    Other,
}

/// What [`Sampler::decide`](crate::Sampler::decide) has decided about a span that is not there yet.
///
/// Some decisions would not be made a second time: those that have used up part of a limit, and those
/// that go by something the SDK does not know. [`settle`](Self::settle) is for them.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// None where only the tracer can tell.
    decision: Option<Decision>,
    /// Whether the sampler must not be asked again.
    settled: bool,
}

/// A decision that stands for the children of one span, as a value of the context that a tracer is
/// given.
pub(crate) struct Settled {
    trace_id: TraceId,
    span_id: SpanId,
    decision: Decision,
}

// === impl Decision ===

impl Decision {
    pub(crate) const fn is_sample(self) -> bool {
        matches!(self, Self::Sample(_))
    }
}

// === impl Decided ===

impl Decided {
    pub(crate) const ASK: Self = Self {
        decision: None,
        settled: false,
    };

    pub(crate) const fn new(decision: Decision, settled: bool) -> Self {
        Self {
            decision: Some(decision),
            settled,
        }
    }

    pub(crate) const fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// The answer.
    #[must_use]
    pub const fn predecision(&self) -> Predecision {
        match self.decision {
            None => Predecision::Ask,
            Some(Decision::Sample(_)) => Predecision::Yes,
            Some(Decision::Drop(_)) => Predecision::No,
        }
    }

    /// The context to give to the tracer in place of `base`, in which the parent is current, so that
    /// the provider's sampler keeps the decision. Nothing where it would decide the same anyway,
    /// which is everywhere but under a limit or by the rate.
    ///
    /// Only the start of the span needs it; what is current later should be `base`.
    #[must_use]
    pub fn settle(&self, base: &Context) -> Option<Context> {
        let decision = self.decision.filter(|_| self.settled)?;
        let span = base.span();
        let parent = span.span_context();
        Some(base.with_value(Settled {
            trace_id: parent.trace_id(),
            span_id: parent.span_id(),
            decision,
        }))
    }
}

// === impl Settled ===

impl Settled {
    /// What was decided about children of this parent.
    pub(crate) fn find(context: &Context, parent: &SpanContext) -> Option<Decision> {
        let settled = context.get::<Self>()?;
        (settled.trace_id == parent.trace_id() && settled.span_id == parent.span_id())
            .then_some(settled.decision)
    }
}
