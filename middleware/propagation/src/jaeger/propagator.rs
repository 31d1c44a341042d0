//! Jaeger's format for any carrier.

use std::sync::LazyLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::TraceContextExt,
};

use super::{UBER_TRACE_ID, entries, value};
use crate::text_map::lines;

/// Jaeger's format, trace context and baggage, for any carrier; see [`jaeger`](super).
///
/// Its [fields](TextMapPropagator::fields) leave the baggage out, whose names are not known beforehand.
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::{Context, baggage::BaggageExt, propagation::TextMapPropagator, trace::TraceContextExt};
/// use towline_propagation::jaeger::JaegerPropagator;
///
/// let received = HashMap::from([
///     ("uber-trace-id".to_owned(), "a3ce929d0e0e4736:f067aa0ba902b7:0:1".to_owned()),
///     ("uberctx-key1".to_owned(), "value%201%20%2F%20blah".to_owned()),
/// ]);
/// let propagator = JaegerPropagator::new();
/// let context = propagator.extract_with_context(&Context::new(), &received);
/// assert!(context.span().span_context().is_sampled());
/// assert_eq!(context.baggage().get("key1").map(|value| value.as_str()), Some("value 1 / blah"));
///
/// let mut sent = HashMap::new();
/// propagator.inject_context(&context, &mut sent);
/// assert_eq!(sent["uber-trace-id"], "0000000000000000a3ce929d0e0e4736:00f067aa0ba902b7:0:1");
/// assert_eq!(sent["uberctx-key1"], "value%201%20%2F%20blah");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct JaegerPropagator;

// === impl JaegerPropagator ===

impl JaegerPropagator {
    /// A propagator; it has no options.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl TextMapPropagator for JaegerPropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let span = cx.span();
        let span = span.span_context();
        if span.is_valid() {
            injector.set(UBER_TRACE_ID.as_str(), value::write(cx, span));
        }
        entries::write(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        // Two values, even equal ones, are no valid parent.
        let parent = match lines(extractor, UBER_TRACE_ID.as_str()).as_slice() {
            [line] => value::parse(line.as_bytes()),
            _ => None,
        };
        let cx = parent.map_or_else(|| cx.clone(), |parent| parent.set_in(cx));
        let keys = extractor.keys();
        let fields = keys.iter().filter(|key| entries::key_of(key).is_some());
        entries::read(
            fields.filter_map(|key| Some((*key, extractor.get(key)?))),
            &cx,
        )
        .unwrap_or(cx)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [UBER_TRACE_ID.to_string()]);
