//! Several propagators as one.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::{BaggagePropagator, TraceContextPropagator};
#[cfg(feature = "b3")]
use crate::b3::B3Propagator;
use crate::{PropagatorKind, jaeger::JaegerPropagator};

/// Several propagators in a fixed order, each seeing what the ones before it have read.
///
/// On extraction a later propagator that finds something legal wins over an earlier one, and one that does not
/// leaves alone what was found; on injection each writes its own fields. Unlike the API's own composition its [fields](TextMapPropagator::fields) come in that
/// order too, each once.
///
/// ```
/// use opentelemetry::propagation::TextMapPropagator;
/// use towline_propagation::{BaggagePropagator, CompositePropagator, Propagator, TraceContextPropagator};
///
/// let composite = CompositePropagator::new()
///     .with(BaggagePropagator::new())
///     .with(TraceContextPropagator::new())
///     .with(BaggagePropagator::new());
/// assert!(composite.fields().eq(["baggage", "traceparent", "tracestate"]));
///
/// let propagator = Propagator::custom(composite);
/// # let _ = propagator;
/// ```
#[derive(Debug, Default)]
pub struct CompositePropagator {
    propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>>,
    fields: Vec<String>,
}

// === impl CompositePropagator ===

impl CompositePropagator {
    /// No propagator at all; see [`with`](Self::with).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            propagators: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// W3C Trace Context, then W3C Baggage.
    #[must_use]
    pub fn w3c() -> Self {
        Self::new()
            .with(TraceContextPropagator::new())
            .with(BaggagePropagator::new())
    }

    /// These formats, in their order.
    ///
    /// ```
    /// use opentelemetry::propagation::TextMapPropagator;
    /// use towline_propagation::{CompositePropagator, PropagatorKind};
    ///
    /// let composite = CompositePropagator::of([PropagatorKind::TraceContext, PropagatorKind::Jaeger]);
    /// assert!(composite.fields().eq(["traceparent", "tracestate", "uber-trace-id"]));
    /// ```
    #[must_use]
    pub fn of(kinds: impl IntoIterator<Item = PropagatorKind>) -> Self {
        kinds
            .into_iter()
            .fold(Self::new(), |composite, kind| match kind {
                PropagatorKind::TraceContext => composite.with(TraceContextPropagator::new()),
                PropagatorKind::Baggage => composite.with(BaggagePropagator::new()),
                #[cfg(feature = "b3")]
                PropagatorKind::B3 => composite.with(B3Propagator::single()),
                #[cfg(feature = "b3")]
                PropagatorKind::B3Multi => composite.with(B3Propagator::multi()),
                PropagatorKind::Jaeger => composite.with(JaegerPropagator::new()),
            })
    }

    /// Adds `propagator` behind the others.
    #[must_use]
    pub fn with(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        for field in propagator.fields() {
            if self.fields.iter().all(|known| known != field) {
                self.fields.push(field.to_owned());
            }
        }
        self.propagators.push(Box::new(propagator));
        self
    }
}

impl TextMapPropagator for CompositePropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        for propagator in &self.propagators {
            propagator.inject_context(cx, injector);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.propagators.iter().fold(cx.clone(), |cx, propagator| {
            propagator.extract_with_context(&cx, extractor)
        })
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}
