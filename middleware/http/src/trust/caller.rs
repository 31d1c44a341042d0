use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, Tracer};
use towline_propagation::{Extraction, Propagator};
use towline_span::{Describe, OpenSpan, Spans};

/// What was received from a caller, as far as it is believed: from
/// [`TrustPolicy::receive`](super::TrustPolicy::receive).
#[derive(Debug)]
pub struct Caller {
    base: Context,
    span: Option<SpanContext>,
    standing: Standing,
}

/// What the caller's span is to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Parent,
    /// A parent whose flag does not count.
    ParentByRate,
    Link,
}

/// The headers that carry the context of a caller.
pub trait CallerHeaders {
    /// Reads them on top of `base`.
    fn extract(&self, headers: &HeaderMap, base: &Context) -> Extraction;

    /// Takes those out that name its trace.
    fn remove_trace_context(&self, headers: &mut HeaderMap);

    /// Takes its baggage out.
    fn remove_baggage(&self, headers: &mut HeaderMap);
}

// === impl Caller ===

impl Caller {
    pub(super) fn trusted(extraction: Extraction) -> Self {
        Self::of_parent(extraction.base, extraction.parent, false)
    }

    pub(super) fn of_parent(base: Context, span: Option<SpanContext>, by_rate: bool) -> Self {
        Self {
            base,
            span,
            standing: if by_rate {
                Standing::ParentByRate
            } else {
                Standing::Parent
            },
        }
    }

    /// One whose span, if there is any, is not the parent.
    pub(super) fn unknown(base: Context, span: Option<SpanContext>) -> Self {
        Self {
            base,
            span,
            standing: Standing::Link,
        }
    }

    /// Starts the span of its request.
    pub fn start<T>(self, spans: &Spans<T>, description: &impl Describe) -> OpenSpan
    where
        T: Tracer,
        T::Span: Send + Sync + 'static,
    {
        let Self {
            base,
            span,
            standing,
        } = self;
        match (span, standing) {
            (None, _) => spans.start(&base, description),
            (Some(span), Standing::Parent) => spans.start_remote(&base, span, description),
            (Some(span), Standing::ParentByRate) => {
                spans.start_remote_by_rate(&base, span, description)
            }
            (Some(span), Standing::Link) => spans.start_linked(&base, span, description),
        }
    }

    /// Passes on what is believed of it, without a span: for a request that is not to have one. A flag
    /// that does not count is not set in what is passed on.
    pub fn pass(self) -> OpenSpan {
        let parent = match (self.span, self.standing) {
            (None, _) | (_, Standing::Link) => None,
            (Some(parent), Standing::Parent) => Some(parent),
            (Some(parent), Standing::ParentByRate) => Some(SpanContext::new(
                parent.trace_id(),
                parent.span_id(),
                parent.trace_flags().with_sampled(false),
                true,
                parent.trace_state().clone(),
            )),
        };
        OpenSpan::passing(match parent {
            Some(parent) => self.base.with_remote_span_context(parent),
            None => self.base,
        })
    }
}

impl CallerHeaders for Propagator {
    fn extract(&self, headers: &HeaderMap, base: &Context) -> Extraction {
        self.extract(headers, base)
    }

    fn remove_trace_context(&self, headers: &mut HeaderMap) {
        self.remove_trace_context(headers);
    }

    fn remove_baggage(&self, headers: &mut HeaderMap) {
        self.remove_baggage(headers);
    }
}
