//! W3C Baggage for any carrier.

use std::sync::LazyLock;

use opentelemetry::{
    Context,
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::lines::lines;
use crate::{BAGGAGE, baggage};

/// W3C Baggage, the `baggage` field, for any carrier.
///
/// It reads and writes exactly what [`Propagator`](crate::Propagator) does for header maps, with the same
/// code: see [`baggage`](crate::baggage). Received baggage takes the place of what the context had; a carrier
/// without any leaves it alone.
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::{Context, KeyValue, baggage::BaggageExt, propagation::TextMapPropagator};
/// use towline_propagation::BaggagePropagator;
///
/// let propagator = BaggagePropagator::new();
/// let mut carrier = HashMap::new();
/// propagator.inject_context(&Context::new().with_baggage([KeyValue::new("user", "Am\u{e9}lie")]), &mut carrier);
/// assert_eq!(carrier["baggage"], "user=Am%C3%A9lie");
///
/// let context = propagator.extract_with_context(&Context::new(), &carrier);
/// assert_eq!(context.baggage().get("user").map(|value| value.as_str()), Some("Am\u{e9}lie"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BaggagePropagator;

// === impl BaggagePropagator ===

impl BaggagePropagator {
    /// A propagator; it has no options.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl TextMapPropagator for BaggagePropagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let text = baggage::encode(cx.baggage());
        if !text.is_empty() {
            injector.set(BAGGAGE.as_str(), text);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let baggage = baggage::decode(
            lines(extractor, BAGGAGE.as_str())
                .into_iter()
                .map(str::as_bytes),
        );
        if baggage.is_empty() {
            cx.clone()
        } else {
            cx.with_baggage(baggage)
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [BAGGAGE.to_string()]);
