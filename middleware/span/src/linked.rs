use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, TraceState, Tracer};

use crate::open::OpenSpan;
use crate::record::Recording;
use crate::spans::{Describe, Spans};

/// A description with a link beside what it says.
struct Linked<'a, D> {
    description: &'a D,
    to: SpanContext,
}

impl<T> Spans<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    /// Starts a span under the span that is current in `base`, or a root, and links it to a span that
    /// has come from elsewhere and shall not be its parent: that of a caller who is not trusted.
    ///
    /// Whether it is recorded, and in which trace, is not up to `to`. The link has the ids and the
    /// flags of `to` but not its `tracestate`, which is as long as a caller makes it. An invalid
    /// context is not linked to.
    ///
    /// ```
    /// use opentelemetry::Context;
    /// use opentelemetry::trace::{
    ///     SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    ///     TracerProvider,
    /// };
    /// use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use towline_span::Spans;
    ///
    /// let spans = Spans::new(SdkTracerProvider::default().tracer("example"));
    /// let (trace, flags) = (TraceId::from(1), TraceFlags::SAMPLED);
    /// let stranger = SpanContext::new(trace, SpanId::from(2), flags, true, TraceState::NONE);
    /// let span = spans.start_linked(&Context::new(), stranger, &|| SpanBuilder::from_name("work"));
    /// assert_ne!(span.context().span().span_context().trace_id(), trace);
    /// ```
    pub fn start_linked(
        &self,
        base: &Context,
        to: SpanContext,
        description: &impl Describe,
    ) -> OpenSpan {
        if !to.is_valid() {
            return self.start(base, description);
        }
        let to = SpanContext::new(
            to.trace_id(),
            to.span_id(),
            to.trace_flags(),
            to.is_remote(),
            TraceState::NONE,
        );
        self.start(base, &Linked { description, to })
    }
}

impl<D: Describe> Describe for Linked<'_, D> {
    fn describe(&self) -> SpanBuilder {
        let mut builder = self.description.describe();
        let link = Link::with_context(self.to.clone());
        builder.links.get_or_insert_default().push(link);
        builder
    }

    fn sketch(&self) -> Option<SpanBuilder> {
        self.description.sketch()
    }

    fn record(&self, into: &mut dyn Recording) {
        self.description.record(into);
        into.link(Link::with_context(self.to.clone()));
    }
}
