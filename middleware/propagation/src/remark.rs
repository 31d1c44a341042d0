//! What B3 and Jaeger say of a trace and a `SpanContext` has no place for.
//!
//! It travels as a value of the context that is tied to ids, so that it never leaks into another trace.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The trace is to be kept by all means. It holds for the whole trace.
    Debug(TraceId),
    /// The sender leaves it to the receiver whether the trace is sampled. It holds until somebody makes a span.
    #[cfg(feature = "b3")]
    Deferred(TraceId, opentelemetry::trace::SpanId),
}

// === impl Remark ===

impl Remark {
    /// Puts it into a context, unless that has a weightier one on the same trace.
    pub(crate) fn set_on(self, cx: &mut Context) {
        #[cfg(feature = "b3")]
        if let Self::Deferred(trace_id, _) = self
            && cx.get::<Self>() == Some(&Self::Debug(trace_id))
        {
            return;
        }
        *cx = cx.with_value(self);
    }

    /// Whether the trace of this span is one to debug.
    pub(crate) fn is_debug(cx: &Context, span: &SpanContext) -> bool {
        cx.get::<Self>() == Some(&Self::Debug(span.trace_id()))
    }

    /// Whether nobody has decided on the trace since it came in: this is still the span that was received.
    #[cfg(feature = "b3")]
    pub(crate) fn is_deferred(cx: &Context, span: &SpanContext) -> bool {
        !span.is_sampled()
            && cx.get::<Self>() == Some(&Self::Deferred(span.trace_id(), span.span_id()))
    }
}
