use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{Span, TraceContextExt};

/// Notices a tracer behind which there is nothing, and says so once in a process.
///
/// Such a tracer comes from OpenTelemetry's global provider before one is set: its spans have no
/// context of their own. Nothing fails and nothing is recorded, which is hard to find out.
#[derive(Debug, Default)]
pub(crate) struct Silent {
    /// Whether the tracer has made a span.
    works: AtomicBool,
}

impl Silent {
    /// Looks at a span that a tracer has made under the parent in `base`.
    pub(crate) fn look_at(&self, span: &impl Span, base: &Context) {
        if self.works.load(Ordering::Relaxed) {
            return;
        }
        let made = span.span_context();
        // The no-op tracer gives its parent's context for its own.
        if made.is_valid() && made.span_id() != base.span().span_context().span_id() {
            self.works.store(true, Ordering::Relaxed);
        } else if !SAID.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "towline",
                "a tracing layer makes no spans: its tracer has no provider behind it, or one that was shut down; take \
                 the tracer from an SdkTracerProvider, or set the global provider before the layer is made"
            );
        }
    }
}

static SAID: AtomicBool = AtomicBool::new(false);
