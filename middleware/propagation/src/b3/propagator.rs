//! B3 for any carrier.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt, TraceFlags, TraceState},
};
use opentelemetry_propagator_b3::{B3Encoding, Propagator};

use super::incoming::{self, DEBUG, DEFERRED, Reading};
use crate::remark::Remark;

/// B3 for any carrier, read in both of its forms and written in one of them; see [`b3`](super).
///
/// Its [fields](TextMapPropagator::fields) are those that it writes, as OpenTelemetry demands. A
/// [`Propagator`](crate::Propagator) that is made of [kinds](crate::Propagator::of) knows of all that it reads; one that
/// is [custom](crate::Propagator::custom) does not.
///
/// ```
/// use std::collections::HashMap;
///
/// use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
/// use towline_propagation::b3::B3Propagator;
///
/// let received = HashMap::from([
///     ("x-b3-traceid".to_owned(), "a3ce929d0e0e4736".to_owned()),
///     ("x-b3-spanid".to_owned(), "00f067aa0ba902b7".to_owned()),
///     ("x-b3-flags".to_owned(), "1".to_owned()),
/// ]);
/// let propagator = B3Propagator::single();
/// let context = propagator.extract_with_context(&Context::new(), &received);
/// assert!(context.span().span_context().is_sampled(), "what is to be debugged is sampled");
///
/// let mut sent = HashMap::new();
/// propagator.inject_context(&context, &mut sent);
/// assert_eq!(sent["b3"], "0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-d");
/// ```
#[derive(Clone, Debug)]
pub struct B3Propagator {
    writer: Propagator,
}

// === impl B3Propagator ===

impl B3Propagator {
    /// Writes one header, `b3`. It is the default, as OpenTelemetry demands.
    #[must_use]
    pub fn single() -> Self {
        Self {
            writer: Propagator::with_encoding(B3Encoding::SingleHeader),
        }
    }

    /// Writes several headers: `x-b3-traceid`, `x-b3-spanid`, and `x-b3-sampled` or `x-b3-flags`.
    #[must_use]
    pub fn multi() -> Self {
        Self {
            writer: Propagator::with_encoding(B3Encoding::MultipleHeader),
        }
    }
}

/// [`single`](Self::single).
impl Default for B3Propagator {
    fn default() -> Self {
        Self::single()
    }
}

impl TextMapPropagator for B3Propagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let span = cx.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let flags = if Remark::is_debug(cx, span) {
            DEBUG
        } else if Remark::is_deferred(cx, span) {
            DEFERRED
        } else {
            TraceFlags::default().with_sampled(span.is_sampled())
        };
        let marked = SpanContext::new(
            span.trace_id(),
            span.span_id(),
            flags,
            false,
            TraceState::NONE,
        );
        let cx = Context::new().with_remote_span_context(marked);
        let mut own = OwnFields {
            propagator: self,
            injector,
        };
        self.writer.inject_context(&cx, &mut own);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        match incoming::read(extractor) {
            Reading::Parent(named) => named.set_in(cx),
            Reading::Deny if !cx.span().span_context().is_valid() => incoming::denied().set_in(cx),
            Reading::Deny | Reading::Illegal | Reading::Nothing => cx.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        self.writer.fields()
    }
}

/// Lets through what belongs to one form: the crate writes several headers always.
struct OwnFields<'a> {
    propagator: &'a B3Propagator,
    injector: &'a mut dyn Injector,
}

impl Injector for OwnFields<'_> {
    fn set(&mut self, key: &str, value: String) {
        if self.propagator.fields().any(|field| field == key) {
            self.injector.set(key, value);
        }
    }
}
