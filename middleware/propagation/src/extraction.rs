//! What was read from a message.

use std::borrow::Cow;

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};

/// What [`Propagator::extract`](crate::Propagator::extract) read from the headers of a message.
///
/// The parent is kept apart from the context so that a caller can look at it, follow it or refuse it before
/// anything is allocated for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Extraction {
    /// The span that sent the message, always valid and [remote](SpanContext::is_remote).
    ///
    /// `None` if the message names none, or names it illegally. Always `None` from a
    /// [custom](crate::Propagator::custom) propagator, which puts the parent into `base` itself: ask
    /// [`parent_span_context`](Self::parent_span_context) where that matters.
    pub parent: Option<SpanContext>,
    /// The context that was given, with everything else that the message carries: baggage, and the
    /// `tracestate` members that a `SpanContext` cannot hold.
    pub base: Context,
    /// What was present in the message but illegal or beyond a limit, and therefore left out.
    pub rejected: Rejected,
}

/// The headers of a message that were present and, in whole or in part, not accepted.
///
/// For counting: what a peer sends wrongly is worth a counter and never a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rejected {
    /// There was a `traceparent`, but not exactly one, or it was illegal.
    pub traceparent: bool,
    /// There was a `tracestate` beside a legal `traceparent`, and it was illegal.
    pub tracestate: bool,
    /// Some member of the `baggage` was illegal or beyond the limits.
    pub baggage: bool,
    /// There were B3 headers, and no legal ones among them.
    pub b3: bool,
    /// There was an `uber-trace-id`, but not exactly one, or it was illegal.
    pub jaeger: bool,
}

// === impl Extraction ===

impl Extraction {
    pub(crate) const fn new(base: Context) -> Self {
        Self {
            parent: None,
            base,
            rejected: Rejected {
                traceparent: false,
                tracestate: false,
                baggage: false,
                b3: false,
                jaeger: false,
            },
        }
    }

    /// The context of the message: `base` with the parent in it as a remote span.
    ///
    /// One allocation if there is a parent, otherwise none.
    #[must_use]
    pub fn into_context(self) -> Context {
        match self.parent {
            Some(parent) => self.base.with_remote_span_context(parent),
            None => self.base,
        }
    }

    /// What a span that is started in [`into_context`](Self::into_context) has as its parent: the remote one
    /// if there is one, otherwise the span of `base`. Invalid if there is neither.
    ///
    /// Borrowed and free whenever there is a remote parent in [`parent`](Self::parent).
    #[must_use]
    pub fn parent_span_context(&self) -> Cow<'_, SpanContext> {
        match &self.parent {
            Some(parent) => Cow::Borrowed(parent),
            None => Cow::Owned(self.base.span().span_context().clone()),
        }
    }
}

// === impl Rejected ===

impl Rejected {
    /// Whether anything was rejected.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.traceparent || self.tracestate || self.baggage || self.b3 || self.jaeger
    }
}
