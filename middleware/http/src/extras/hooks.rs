use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanRef};
use towline_span::{Failure, Outcome, truncate};

use super::Redaction;
use crate::head::{RequestHead, ResponseHead};

/// Functions of a user's own, called on the way of an exchange whose span is recorded.
///
/// Several for the same moment are called in the order in which they were given. A panic in one is
/// caught, and the exchange goes on as if it had returned there: telemetry never fails a request. The
/// program's panic hook has reported it by then; where a panic aborts the program, it does.
#[derive(Clone, Default)]
pub struct Hooks {
    on_request: Vec<Arc<OnRequest>>,
    on_response: Vec<Arc<OnResponse>>,
    on_end: Vec<Arc<OnEnd>>,
}

type OnRequest = dyn Fn(RequestHead<'_>, &mut HookSpan<'_>) + Send + Sync;

type OnResponse = dyn Fn(ResponseHead<'_>, &mut HookSpan<'_>) + Send + Sync;

type OnEnd = dyn Fn(Ended<'_>, &mut HookSpan<'_>) + Send + Sync;

/// The span of an exchange, as a hook may change it.
///
/// It cannot be ended here, and its status is not set here either: an OpenTelemetry span takes a
/// status once. What is an error is decided by the layers' `with_classify`.
pub struct HookSpan<'a> {
    span: SpanRef<'a>,
    redaction: &'a Redaction,
    renamed: bool,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// What became of it.
    pub outcome: Outcome,
    /// What the span will say went wrong, if anything did. A panic is none: the outcome says it.
    pub failure: Option<&'a Failure>,
    /// The time since the span began, by the monotonic clock.
    pub duration: Duration,
}

// === impl Hooks ===

impl Hooks {
    /// Adds a function that is called when the span has begun, before the service is.
    pub fn on_request<F>(&mut self, hook: F)
    where
        F: Fn(RequestHead<'_>, &mut HookSpan<'_>) + Send + Sync + 'static,
    {
        self.on_request.push(Arc::new(hook));
    }

    /// Adds a function that is called when the head of the response is there.
    pub fn on_response<F>(&mut self, hook: F)
    where
        F: Fn(ResponseHead<'_>, &mut HookSpan<'_>) + Send + Sync + 'static,
    {
        self.on_response.push(Arc::new(hook));
    }

    /// Adds a function that is called right before the span ends.
    pub fn on_end<F>(&mut self, hook: F)
    where
        F: Fn(Ended<'_>, &mut HookSpan<'_>) + Send + Sync + 'static,
    {
        self.on_end.push(Arc::new(hook));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.on_request.is_empty() && self.on_response.is_empty() && self.on_end.is_empty()
    }

    pub(super) fn request(&self, head: RequestHead<'_>, span: &mut HookSpan<'_>) {
        for hook in &self.on_request {
            caught_or((), || hook(head, span));
        }
    }

    pub(super) fn response(&self, head: ResponseHead<'_>, span: &mut HookSpan<'_>) {
        for hook in &self.on_response {
            caught_or((), || hook(head, span));
        }
    }

    pub(super) fn end(&self, ended: Ended<'_>, span: &mut HookSpan<'_>) {
        for hook in &self.on_end {
            caught_or((), || hook(ended, span));
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("on_request", &self.on_request.len())
            .field("on_response", &self.on_response.len())
            .field("on_end", &self.on_end.len())
            .finish()
    }
}

// === impl HookSpan ===

impl<'a> HookSpan<'a> {
    pub(super) const fn new(span: SpanRef<'a>, redaction: &'a Redaction) -> Self {
        Self {
            span,
            redaction,
            renamed: false,
        }
    }

    /// Adds an attribute, its text cut at the layer's limit for values.
    ///
    /// The SDK does not look for one of the same name: it would be there twice.
    pub fn set_attribute(&mut self, attribute: KeyValue) {
        self.span.set_attribute(self.redaction.cut(attribute));
    }

    /// Adds an event, the text of its attributes cut at the layer's limit for values.
    pub fn add_event(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) {
        let attributes = attributes.into_iter();
        let attributes = attributes.map(|attribute| self.redaction.cut(attribute));
        self.span.add_event(name, attributes.collect());
    }

    /// Renames the span. The name must be of low cardinality, never a path.
    ///
    /// It stays: no route that is found later takes its place.
    pub fn update_name(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = match name.into() {
            Cow::Owned(name) => {
                Cow::Owned(truncate(&name, self.redaction.value_limit_bytes).to_owned())
            }
            name => name,
        };
        self.span.update_name(name);
        self.renamed = true;
    }

    /// Adds a link.
    pub fn add_link(
        &mut self,
        span_context: SpanContext,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) {
        let attributes = attributes.into_iter();
        let attributes = attributes.map(|attribute| self.redaction.cut(attribute));
        self.span.add_link(span_context, attributes.collect());
    }

    /// The ids of the span.
    #[must_use]
    pub fn span_context(&self) -> &SpanContext {
        self.span.span_context()
    }

    pub(super) const fn is_renamed(&self) -> bool {
        self.renamed
    }
}

impl fmt::Debug for HookSpan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookSpan")
            .field("span_context", self.span_context())
            .finish_non_exhaustive()
    }
}

/// What a user's function answers, or `otherwise` if it panics: see [`Hooks`].
pub fn caught_or<T>(otherwise: T, hook: impl FnOnce() -> T) -> T {
    // What it may leave half-done is its own, and a span behind a lock.
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or(otherwise)
}
