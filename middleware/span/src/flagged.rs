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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
    use towline_test_support::{Caller, Memory};

    use super::*;

    fn fill(span: &mut impl Span) {
        span.add_event("event", vec![KeyValue::new("a", 1)]);
        span.add_event_with_timestamp("timed", UNIX_EPOCH, vec![KeyValue::new("b", 2)]);
        span.record_error(&std::fmt::Error);
        span.set_attribute(KeyValue::new("c", 3));
        span.set_attributes([KeyValue::new("d", 4), KeyValue::new("e", 5)]);
        span.set_status(Status::error("no"));
        span.update_name("renamed");
        span.add_link(Caller::sampled().span_context(), vec![]);
        assert!(span.is_recording());
    }

    /// Everything but ids, the order of the clock and the scope.
    fn told(span: &SpanData) -> impl PartialEq + std::fmt::Debug {
        let events = span.events.iter();
        (
            span.name.clone(),
            span.attributes.clone(),
            span.status.clone(),
            span.links.iter().cloned().collect::<Vec<_>>(),
            events
                .map(|event| (event.name.clone(), event.attributes.clone()))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn everything_that_is_said_to_it_reaches_the_tracers_span() {
        let memory = Memory::new();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(memory.clone())
            .build();
        let tracer = provider.tracer("test");
        let mut plain = tracer.start("work");
        fill(&mut plain);
        plain.end();
        let mut flagged = FlaggedSpan::new(tracer.start("work"));
        fill(&mut flagged);
        flagged.end();
        assert!(!flagged.is_recording());
        let mut timed = FlaggedSpan::new(tracer.start("work"));
        timed.end_with_timestamp(UNIX_EPOCH);

        let [plain, ended, at] = &memory.finished()[..] else {
            panic!("three spans have ended");
        };
        assert_eq!(told(ended), told(plain));
        assert_eq!(ended.events[1].timestamp, UNIX_EPOCH);
        assert_eq!(at.end_time, UNIX_EPOCH);
        assert_eq!(
            ended.span_context.span_id(),
            flagged.span_context().span_id()
        );
        assert_ne!(&ended.span_context, flagged.span_context());
    }
}
