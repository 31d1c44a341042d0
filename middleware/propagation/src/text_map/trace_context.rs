//! W3C Trace Context for any carrier.

use std::sync::LazyLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::TraceContextExt,
};

use super::lines::lines;
use crate::{TRACEPARENT, TRACESTATE, TraceParent, tracestate};

/// W3C Trace Context, `traceparent` and `tracestate`, for any carrier: a message envelope, a map, an
/// environment.
///
/// It reads and writes exactly what [`Propagator`](crate::Propagator) does for header maps, with the same
/// code. An [`Injector`] cannot remove a field, so a `tracestate` that was in the carrier before stays there
/// if the context has none: inject into a fresh carrier.
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
/// use towline_propagation::TraceContextPropagator;
///
/// let received = HashMap::from([(
///     "traceparent".to_owned(),
///     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03".to_owned(),
/// )]);
/// let propagator = TraceContextPropagator::new();
/// let context = propagator.extract_with_context(&Context::new(), &received);
/// assert!(context.span().span_context().is_remote());
///
/// let mut sent = HashMap::new();
/// propagator.inject_context(&context, &mut sent);
/// assert_eq!(sent, received);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TraceContextPropagator;

// === impl TraceContextPropagator ===

impl TraceContextPropagator {
    /// A propagator; it has no options.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl TextMapPropagator for TraceContextPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let span = cx.span();
        let span_context = span.span_context();
        let Some(parent) = TraceParent::from_span_context(span_context) else {
            return;
        };
        injector.set(TRACEPARENT.as_str(), parent.to_string());
        if let Some(value) = tracestate::outgoing(span_context, cx) {
            injector.set(TRACESTATE.as_str(), value);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        // Two values, even equal ones, are no valid parent.
        let &[parent] = lines(extractor, TRACEPARENT.as_str()).as_slice() else {
            return cx.clone();
        };
        let Ok(parent) = TraceParent::parse(parent.as_bytes()) else {
            return cx.clone();
        };
        let lines = lines(extractor, TRACESTATE.as_str());
        let incoming =
            tracestate::incoming(parent.trace_id(), lines.into_iter().map(str::as_bytes), cx);
        let cx = incoming.context.as_ref().unwrap_or(cx);
        cx.with_remote_span_context(parent.into_span_context(incoming.trace_state))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

static FIELDS: LazyLock<[String; 2]> =
    LazyLock::new(|| [TRACEPARENT, TRACESTATE].map(|name| name.to_string()));
