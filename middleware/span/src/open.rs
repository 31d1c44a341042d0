use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::outcome::{ERROR_TYPE, Failure, Outcome};

/// A span that has begun, with the context it is current in; ends the span exactly once.
///
/// This is the part that every Towline layer is built on. Work runs inside
/// [`enter`](Self::enter), which makes the context current and notices a panic; [`end`](Self::end)
/// closes the span with its [`Outcome`], and so does dropping the value, with
/// [`Outcome::Panicked`] if the work inside panicked and the outcome given to
/// [`or_else`](Self::or_else) otherwise.
///
/// A panic is noticed although a catch-unwind layer may swallow it long before this value is
/// dropped: the mark that `enter` sets is only taken away by a return.
///
/// The value may hold no recording span at all (the trace is not sampled, or tracing is off): then
/// it keeps the context current and ends nothing.
#[derive(Debug)]
#[must_use = "dropping it ends the span"]
pub struct OpenSpan {
    context: Context,
    recording: bool,
    inside: bool,
    on_drop: Outcome,
}

impl OpenSpan {
    /// The span that is current in `context`, which `recording` says whether anybody keeps.
    pub(crate) fn new(context: Context, recording: bool) -> Self {
        Self {
            context,
            recording,
            inside: false,
            on_drop: Outcome::CancelledBeforeResponse,
        }
    }

    /// A context to keep current, without a span to end: what a switched-off layer hands on.
    pub fn passing(context: Context) -> Self {
        Self::new(context, false)
    }

    /// The context in which the span is the current one.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether the span is recorded and has not ended.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// Sets an attribute, if the span is recorded and has not ended.
    pub fn set_attribute(&self, attribute: KeyValue) {
        if self.recording {
            self.context.span().set_attribute(attribute);
        }
    }

    /// Sets what a drop means from here on. At first it is
    /// [`Outcome::CancelledBeforeResponse`].
    pub fn or_else(&mut self, outcome: Outcome) {
        self.on_drop = outcome;
    }

    /// Runs `work` with the span's context current.
    ///
    /// # Panics
    ///
    /// When `work` does; the span will then end as [`Outcome::Panicked`].
    pub fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let attached = self.context.clone().attach();
        let result = self.watch(work);
        drop(attached);
        result
    }

    /// Runs `work` so that its panic is noticed, in whatever context is current.
    pub(crate) fn watch<R>(&mut self, work: impl FnOnce() -> R) -> R {
        self.inside = true;
        let result = work();
        self.inside = false;
        result
    }

    /// How a drop at this moment would end the span.
    #[must_use]
    pub fn outcome_on_drop(&self) -> Outcome {
        if self.inside {
            Outcome::Panicked
        } else {
            self.on_drop
        }
    }

    /// Ends the span. The first call counts, later ones do nothing.
    ///
    /// `attributes` are set first, then `error.type` and the error status if there is a `failure`
    /// (a panic is one of itself), then [`OUTCOME`](crate::OUTCOME) unless the work plainly
    /// completed.
    pub fn end(
        &mut self,
        outcome: Outcome,
        failure: Option<Failure>,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) {
        if !std::mem::take(&mut self.recording) {
            return;
        }
        let failure = failure.or((outcome == Outcome::Panicked).then_some(Failure::PANIC));
        let (error_type, status) = match failure.map(Failure::into_parts) {
            Some((error_type, description)) => (
                Some(KeyValue::new(ERROR_TYPE, error_type)),
                Some(Status::Error { description }),
            ),
            None => (None, None),
        };
        let span = self.context.span();
        for attribute in attributes {
            span.set_attribute(attribute);
        }
        // One by one: a chain would be as long where there is nothing in it.
        if let Some(error_type) = error_type {
            span.set_attribute(error_type);
        }
        if let Some(outcome) = outcome.attribute() {
            span.set_attribute(outcome);
        }
        if let Some(status) = status {
            span.set_status(status);
        }
        span.end();
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if self.recording {
            self.end(self.outcome_on_drop(), None, []);
        }
    }
}
