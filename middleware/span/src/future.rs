use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, ready};

use pin_project_lite::pin_project;

use crate::classify::Classify;
use crate::open::OpenSpan;
use crate::outcome::Outcome;

pin_project! {
    /// A future inside a span: its context is current in every poll, and the span ends with it.
    ///
    /// Made by [`SpanCall::run`](crate::SpanCall::run), [`SpanCall::try_run`](crate::SpanCall::try_run)
    /// and [`SpanService`](crate::SpanService).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the inner future first and then ends the span as
    /// [`Outcome::CancelledBeforeResponse`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct SpanFuture<F, C> {
        #[pin]
        inner: F,
        span: OpenSpan,
        classify: C,
    }
}

impl<F, C> SpanFuture<F, C> {
    pub(crate) const fn new(inner: F, span: OpenSpan, classify: C) -> Self {
        Self {
            inner,
            span,
            classify,
        }
    }
}

impl<F, C> Future for SpanFuture<F, C>
where
    F: Future,
    C: Classify<F::Output>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = ready!(this.span.enter(|| this.inner.poll(cx)));
        finish(this.span, this.classify, &output);
        Poll::Ready(output)
    }
}

/// Ends a span with what its work gave back.
pub(crate) fn finish<O>(span: &mut OpenSpan, classify: &impl Classify<O>, output: &O) {
    if !span.is_recording() {
        return;
    }
    // The text of an error is its author's code: a panic there is one of the work.
    match span.watch(|| classify.failure(output)) {
        Some(failure) => span.end(Outcome::Failed, Some(failure), []),
        None => span.end(Outcome::Completed, None, []),
    }
}
