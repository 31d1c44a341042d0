use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::control::{Control, State};
use crate::decision::{By, Decided, Decision, Settled};
use crate::probability;
use crate::rate::Threshold;

/// The parent-based sampler: a parent's decision is kept, roots are decided by the rate.
///
/// Cheap to clone; clones share their [`Control`]. See the [crate documentation](crate) for the
/// table of decisions.
#[derive(Clone, Debug, Default)]
pub struct Sampler {
    control: Control,
    parents: Parents,
    probability: bool,
}

/// What is done with a span whose parent is of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Branch {
    /// Record and sample.
    Record,
    /// Drop; the context is still propagated.
    Drop,
    /// Decide as for a root: the trace id against the rate of the [`Control`].
    Rate,
}

/// What can be said of a span before it is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the three answers are the whole of the idea; a layer must handle each"
)]
pub enum Predecision {
    /// It will be dropped: nothing but its context is needed.
    No,
    /// It will be recorded: describe it in full.
    Yes,
    /// It has no parent, and not every root is recorded: only the tracer, who makes the trace id, can
    /// tell.
    Ask,
}

/// The four branches that a parent can take; the fifth, without a parent, is the rate's.
#[derive(Clone, Copy, Debug)]
struct Parents {
    remote_sampled: Branch,
    remote_not_sampled: Branch,
    local_sampled: Branch,
    local_not_sampled: Branch,
}

// === impl Sampler ===

impl Sampler {
    /// A sampler under this control, with the default branches.
    #[must_use]
    pub fn new(control: Control) -> Self {
        Self {
            control,
            parents: Parents::default(),
            probability: false,
        }
    }

    /// What is done under a remote parent that is sampled. Default: [`Branch::Record`], so that a
    /// caller's trace is whole although the local rate is 0.
    #[must_use]
    pub fn with_remote_parent_sampled(mut self, branch: Branch) -> Self {
        self.parents.remote_sampled = branch;
        self
    }

    /// What is done under a remote parent that is not sampled. Default: [`Branch::Drop`].
    #[must_use]
    pub fn with_remote_parent_not_sampled(mut self, branch: Branch) -> Self {
        self.parents.remote_not_sampled = branch;
        self
    }

    /// What is done under a local parent that is sampled. Default: [`Branch::Record`].
    #[must_use]
    pub fn with_local_parent_sampled(mut self, branch: Branch) -> Self {
        self.parents.local_sampled = branch;
        self
    }

    /// What is done under a local parent that is not sampled. Default: [`Branch::Drop`].
    #[must_use]
    pub fn with_local_parent_not_sampled(mut self, branch: Branch) -> Self {
        self.parents.local_not_sampled = branch;
        self
    }

    /// Says whether the probability with which a trace was sampled is told in its `tracestate`, as the
    /// specification's [consistent probability sampling] has it. Default: it is not, since that part
    /// of the specification is still in development.
    ///
    /// With it a backend can tell how many traces one recorded trace stands for, and services with
    /// different rates decide by the same randomness:
    ///
    /// - The randomness is the `rv` of the entry `ot`, if there is a legal one, else the rightmost 56
    ///   bits of the trace id.
    /// - A span that the rate has sampled gets the rejection threshold, `ot=th:c` for one in four and
    ///   `ot=th:0` for all; one that the rate has dropped gets none.
    /// - Under a parent whose decision is kept its threshold is kept too, if it fits the *sampled*
    ///   flag, and is erased if it does not.
    /// - A [`Branch`] that overrides a parent, and a caller's wish that the limit or a policy of trust
    ///   has refused, erase it: how probable that was is not known.
    ///
    /// `rv` and everything else in the entry stay. An entry that would be longer than 256 bytes gets
    /// no threshold.
    ///
    /// ```
    /// use opentelemetry::trace::{Span, Tracer, TracerProvider};
    /// use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline_sampler::{Control, Rate, Sampler};
    ///
    /// let sampler = Sampler::new(Control::new(Rate::ALWAYS)).with_probability_tracestate(true);
    /// let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    /// let span = provider.tracer("example").start("root");
    /// assert_eq!(span.span_context().trace_state().get("ot"), Some("th:0"));
    /// ```
    ///
    /// [consistent probability sampling]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/trace/tracestate-probability-sampling.md
    #[must_use]
    pub fn with_probability_tracestate(mut self, told: bool) -> Self {
        self.probability = told;
        self
    }

    /// The switch and the root rate that this sampler obeys.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Decides from the parent alone, as [`ShouldSample`] would for a span of that trace.
    ///
    /// An invalid span context is no parent: the answer is [`Predecision::Ask`], unless the rate records
    /// every root. While the
    /// [`Control`] is off there is no answer, since there is to be no span at all, not even one
    /// that is not recorded; the switch and the rate are read at once.
    ///
    /// While there is a [limit](Control::set_remote_limit) the answer counts as one request; whoever
    /// then starts the span should [`decide`](Self::decide) instead, which lets the answer be kept.
    #[must_use]
    pub fn predecide(&self, parent: &SpanContext) -> Option<Predecision> {
        self.decide(parent).map(|decided| decided.predecision())
    }

    /// The same, with all that follows from it.
    #[must_use]
    pub fn decide(&self, parent: &SpanContext) -> Option<Decided> {
        self.decide_with(parent, Self::by_parent)
    }

    /// Decides by the rate alone, whatever flag the parent has: for a caller whose word does not
    /// count.
    #[must_use]
    pub fn decide_by_rate(&self, parent: &SpanContext) -> Option<Decided> {
        self.decide_with(parent, |sampler, state, parent| {
            let (trace_id, trace_state) = (parent.trace_id(), parent.trace_state());
            let decision = sampler.by_rate(state, trace_id, trace_state);
            (decision, true)
        })
    }

    /// Decides about a new trace, as [`ShouldSample`] would: its id against the rate. `beside` is what
    /// stands in the place of a parent; it is invalid, but may have a `tracestate` that says what the
    /// randomness of the trace is, see
    /// [`with_probability_tracestate`](Self::with_probability_tracestate).
    ///
    /// While the [`Control`] is off there is no answer. It is for those who make trace ids themselves,
    /// in place of a tracer.
    #[must_use]
    pub fn decide_root(&self, trace_id: TraceId, beside: &SpanContext) -> Option<Decided> {
        let state = self.control.load();
        state.is_enabled().then(|| {
            let decision = self.by_rate(state, trace_id, beside.trace_state());
            Decided::new(decision, false)
        })
    }

    /// The `tracestate` of a root about which [that](Self::decide_root) was decided.
    #[must_use]
    pub fn root_trace_state(
        &self,
        decided: &Decided,
        trace_id: TraceId,
        beside: &SpanContext,
    ) -> TraceState {
        match decided.decision() {
            Some(decision) if self.probability => {
                self.trace_state(decision, trace_id, beside.trace_state())
            }
            _ => TraceState::NONE,
        }
    }

    /// The `tracestate` of a child about which this was decided, under a parent with that one.
    #[must_use]
    pub fn child_trace_state(
        &self,
        decided: &Decided,
        trace_id: TraceId,
        parent: &TraceState,
    ) -> TraceState {
        match decided.decision() {
            Some(decision) => self.trace_state(decision, trace_id, parent),
            None => parent.clone(),
        }
    }

    fn decide_with(
        &self,
        parent: &SpanContext,
        decide: impl FnOnce(&Self, State, &SpanContext) -> (Decision, bool),
    ) -> Option<Decided> {
        let state = self.control.load();
        state.is_enabled().then(|| {
            if parent.is_valid() {
                let (decision, settled) = decide(self, state, parent);
                Decided::new(decision, settled)
            } else if state.threshold().is_reached_by(0) {
                // Whatever the trace id will be.
                Decided::new(Decision::Sample(By::Rate(state.threshold())), false)
            } else {
                Decided::ASK
            }
        })
    }

    /// The `tracestate` of a child of this parent that is not sampled.
    #[must_use]
    pub fn unsampled_trace_state(&self, parent: &SpanContext) -> TraceState {
        // Whoever has not sampled it, a threshold that would have is none.
        let decision = Decision::Drop(if parent.is_sampled() {
            By::Other
        } else {
            By::Parent
        });
        self.trace_state(decision, parent.trace_id(), parent.trace_state())
    }

    /// What follows from a parent, and whether it would not be the same if it were asked again.
    fn by_parent(&self, state: State, parent: &SpanContext) -> (Decision, bool) {
        let sampled = parent.is_sampled();
        let branch = self.parents.branch(parent);
        let limited =
            state.is_limited() && parent.is_remote() && sampled && branch == Branch::Record;
        let decision = match branch {
            Branch::Record if limited && !self.control.admits(parent.trace_id()) => {
                self.by_rate(state, parent.trace_id(), parent.trace_state())
            }
            Branch::Record if sampled => Decision::Sample(By::Parent),
            Branch::Record => Decision::Sample(By::Other),
            Branch::Drop if sampled => Decision::Drop(By::Other),
            Branch::Drop => Decision::Drop(By::Parent),
            Branch::Rate => self.by_rate(state, parent.trace_id(), parent.trace_state()),
        };
        (decision, limited)
    }

    fn by_rate(&self, state: State, trace_id: TraceId, trace_state: &TraceState) -> Decision {
        let threshold = state.threshold();
        if threshold.is_reached_by(self.randomness(trace_id, trace_state)) {
            Decision::Sample(By::Rate(threshold))
        } else {
            Decision::Drop(By::Rate(threshold))
        }
    }

    fn randomness(&self, trace_id: TraceId, trace_state: &TraceState) -> u64 {
        if self.probability {
            probability::randomness(trace_id, trace_state)
        } else {
            Threshold::randomness(trace_id)
        }
    }

    /// The `tracestate` of a span about which this was decided, under a parent with that one.
    fn trace_state(
        &self,
        decision: Decision,
        trace_id: TraceId,
        trace_state: &TraceState,
    ) -> TraceState {
        if !self.probability {
            return trace_state.clone();
        }
        let threshold = match decision {
            Decision::Sample(By::Rate(threshold)) => Some(threshold),
            Decision::Sample(By::Parent) | Decision::Drop(By::Parent) => {
                let reached = |threshold: &Threshold| {
                    threshold.is_reached_by(probability::randomness(trace_id, trace_state))
                };
                probability::threshold(trace_state)
                    .filter(|threshold| reached(threshold) == decision.is_sample())
            }
            Decision::Drop(By::Rate(_) | By::Other) | Decision::Sample(By::Other) => None,
        };
        probability::with_threshold(trace_state, threshold)
    }
}

impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        _name: &str,
        _span_kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let state = self.control.load();
        let span = parent_context.map(|cx| cx.span());
        let parent = span.as_ref().map(|span| span.span_context());
        let none = TraceState::NONE;
        // A context that names no parent can still say what the randomness of a new trace is.
        let own = parent
            .filter(|parent| parent.is_valid() || self.probability)
            .map_or(&none, SpanContext::trace_state);
        let decision = match parent.filter(|parent| parent.is_valid()) {
            // Nobody has decided anything; what a parent says is not ours to change.
            _ if !state.is_enabled() => None,
            Some(parent) => Some(
                parent_context
                    .and_then(|cx| Settled::find(cx, parent))
                    .unwrap_or_else(|| self.by_parent(state, parent).0),
            ),
            None => Some(self.by_rate(state, trace_id, own)),
        };
        SamplingResult {
            decision: if decision.is_some_and(Decision::is_sample) {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: match decision {
                Some(decision) => self.trace_state(decision, trace_id, own),
                None => own.clone(),
            },
        }
    }
}

// === impl Parents ===

impl Parents {
    fn branch(&self, parent: &SpanContext) -> Branch {
        match (parent.is_remote(), parent.is_sampled()) {
            (true, true) => self.remote_sampled,
            (true, false) => self.remote_not_sampled,
            (false, true) => self.local_sampled,
            (false, false) => self.local_not_sampled,
        }
    }
}

impl Default for Parents {
    fn default() -> Self {
        Self {
            remote_sampled: Branch::Record,
            remote_not_sampled: Branch::Drop,
            local_sampled: Branch::Record,
            local_not_sampled: Branch::Drop,
        }
    }
}

#[cfg(test)]
mod tests;
