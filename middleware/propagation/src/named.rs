//! The parent that a message names in a format other than W3C's.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

use crate::{Extraction, remark::Remark, traceparent::RANDOM};

/// A parent by its ids, neither of them all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) flags: TraceFlags,
    /// What else was said, that a `SpanContext` cannot hold.
    pub(crate) remark: Option<Remark>,
}

// === impl Named ===

impl Named {
    /// Makes it the parent of what follows from a message, in place of what another format has named.
    pub(crate) fn set_on(self, extraction: &mut Extraction) {
        if let Some(remark) = self.remark {
            remark.set_on(&mut extraction.base);
        }
        extraction.parent = Some(self.span_context(extraction.parent.as_ref()));
    }

    /// The same for a context that holds the parent itself.
    pub(crate) fn set_in(self, cx: &Context) -> Context {
        let mut cx = cx.clone();
        if let Some(remark) = self.remark {
            remark.set_on(&mut cx);
        }
        let parent = {
            let span = cx.span();
            let earlier = Some(span.span_context()).filter(|earlier| earlier.is_remote());
            self.span_context(earlier)
        };
        cx.with_remote_span_context(parent)
    }

    /// Where an earlier format has named the same trace, what only that one can say stands: the `tracestate`, whether
    /// the trace id is random, and whether the trace is sampled if this one leaves that open.
    fn span_context(&self, earlier: Option<&SpanContext>) -> SpanContext {
        let mut flags = self.flags;
        let mut trace_state = TraceState::NONE;
        if let Some(earlier) = earlier.filter(|earlier| earlier.trace_id() == self.trace_id) {
            let mut kept = RANDOM;
            if !self.is_decided() {
                kept = kept | TraceFlags::SAMPLED;
            }
            flags = flags | (earlier.trace_flags() & kept);
            trace_state = earlier.trace_state().clone();
        }
        SpanContext::new(self.trace_id, self.span_id, flags, true, trace_state)
    }

    const fn is_decided(&self) -> bool {
        match self.remark {
            None | Some(Remark::Debug(_)) => true,
            #[cfg(feature = "b3")]
            Some(Remark::Deferred(..)) => false,
        }
    }
}
