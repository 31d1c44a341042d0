use std::sync::{Arc, Mutex};

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingResult, ShouldSample};

/// One question that a sampler was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asked {
    /// The parent's span context; invalid for a root.
    pub parent: SpanContext,
    /// The trace id, the parent's or a new one.
    pub trace_id: TraceId,
    /// The name that the span would have.
    pub name: String,
    /// The kind that it would have.
    pub kind: SpanKind,
    /// The attributes known at its start.
    pub attributes: Vec<KeyValue>,
    /// The links known at its start.
    pub links: Vec<Link>,
}

/// A sampler that notes what it was asked and lets another one answer.
///
/// Clones share their notes.
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
/// use towline_test_support::SamplerSpy;
///
/// let spy = SamplerSpy::new(Sampler::AlwaysOff);
/// let provider = SdkTracerProvider::builder().with_sampler(spy.clone()).build();
/// provider.tracer("example").start("work");
/// assert_eq!(spy.asked()[0].name, "work");
/// ```
#[derive(Clone, Debug)]
pub struct SamplerSpy<S> {
    inner: S,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl<S> SamplerSpy<S> {
    /// Notes what `inner` is asked.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            asked: Arc::default(),
        }
    }

    /// Every question so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .expect("no code panics while it holds the notes")
            .clone()
    }
}

impl<S> ShouldSample for SamplerSpy<S>
where
    S: ShouldSample + Clone + 'static,
{
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let asked = Asked {
            parent: parent_context.map_or(SpanContext::NONE, |cx| cx.span().span_context().clone()),
            trace_id,
            name: name.to_owned(),
            kind: span_kind.clone(),
            attributes: attributes.to_vec(),
            links: links.to_vec(),
        };
        self.asked
            .lock()
            .expect("no code panics while it holds the notes")
            .push(asked);
        self.inner
            .should_sample(parent_context, trace_id, name, span_kind, attributes, links)
    }
}
