use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::control::{Control, State};

/// The parent-based sampler: a parent's decision is kept, roots are decided by the rate.
///
/// Cheap to clone; clones share their [`Control`]. See the [crate documentation](crate) for the
/// table of decisions.
#[derive(Clone, Debug, Default)]
pub struct Sampler {
    control: Control,
    parents: Parents,
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
    /// It has no parent: only the tracer, who makes the trace id, can tell.
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

    /// The switch and the root rate that this sampler obeys.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Decides from the parent alone, as [`ShouldSample`] would for a span of that trace.
    ///
    /// An invalid span context is no parent: the answer is [`Predecision::Ask`]. While the
    /// [`Control`] is off there is no answer, since there is to be no span at all, not even one
    /// that is not recorded; the switch and the rate are read at once.
    #[must_use]
    pub fn predecide(&self, parent: &SpanContext) -> Option<Predecision> {
        let state = self.control.load();
        state.is_enabled().then(|| {
            if !parent.is_valid() {
                Predecision::Ask
            } else if self.samples_child(state, parent) {
                Predecision::Yes
            } else {
                Predecision::No
            }
        })
    }

    fn samples_child(&self, state: State, parent: &SpanContext) -> bool {
        match self.parents.branch(parent) {
            Branch::Record => true,
            Branch::Drop => false,
            Branch::Rate => state.threshold().samples(parent.trace_id()),
        }
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
        let parent = span
            .as_ref()
            .map(|span| span.span_context())
            .filter(|parent| parent.is_valid());
        let samples = state.is_enabled()
            && match parent {
                Some(parent) => self.samples_child(state, parent),
                None => state.threshold().samples(trace_id),
            };
        SamplingResult {
            decision: if samples {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: parent.map_or(TraceState::NONE, |parent| parent.trace_state().clone()),
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
