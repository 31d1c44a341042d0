use std::borrow::Cow;
use std::error::Error;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanContext, Status};

use crate::spans::with_random_flag;

/// A tracer's span whose span context also carries the random flag.
///
/// The SDK neither sets that flag on a root nor lets one be set from outside; what is current, what
/// is injected and what children inherit comes from the span context answered here.
#[derive(Debug)]
pub(crate) struct FlaggedSpan<S> {
    inner: S,
    span_context: SpanContext,
}

impl<S: Span> FlaggedSpan<S> {
    pub(crate) fn new(inner: S) -> Self {
        let span_context = with_random_flag(inner.span_context().clone(), true);
        Self {
            inner,
            span_context,
        }
    }
}

impl<S: Span> Span for FlaggedSpan<S> {
    fn add_event<N>(&mut self, name: N, attributes: Vec<KeyValue>)
    where
        N: Into<Cow<'static, str>>,
    {
        self.inner.add_event(name, attributes);
    }

    fn record_error(&mut self, error: &dyn Error) {
        self.inner.record_error(error);
    }

    fn add_event_with_timestamp<N>(
        &mut self,
        name: N,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        N: Into<Cow<'static, str>>,
    {
        self.inner
            .add_event_with_timestamp(name, timestamp, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        self.inner.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.inner.set_attribute(attribute);
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.inner.set_attributes(attributes);
    }

    fn set_status(&mut self, status: Status) {
        self.inner.set_status(status);
    }

    fn update_name<N>(&mut self, name: N)
    where
        N: Into<Cow<'static, str>>,
    {
        self.inner.update_name(name);
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.inner.add_link(span_context, attributes);
    }

    fn end(&mut self) {
        self.inner.end();
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.inner.end_with_timestamp(timestamp);
    }
}
