use std::pin::Pin;
use std::task::{Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::classify::Classify;
use crate::open::OpenSpan;
use crate::outcome::Outcome;

pin_project! {
    /// A stream inside a span: its context is current in every poll, and the span ends with the
    /// stream, or at the first item that is a failure.
    ///
    /// Made by [`SpanCall::stream`](crate::SpanCall::stream) and
    /// [`SpanCall::try_stream`](crate::SpanCall::try_stream).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the inner stream first and then ends the span as
    /// [`Outcome::CancelledBeforeResponse`] or, once there was an item,
    /// [`Outcome::CancelledDuringBody`].
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct SpanStream<St, C> {
        #[pin]
        inner: St,
        span: OpenSpan,
        classify: C,
    }
}

impl<St, C> SpanStream<St, C> {
    pub(crate) const fn new(inner: St, span: OpenSpan, classify: C) -> Self {
        Self {
            inner,
            span,
            classify,
        }
    }
}

impl<St, C> Stream for SpanStream<St, C>
where
    St: Stream,
    C: Classify<St::Item>,
{
    type Item = St::Item;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let next = ready!(this.span.enter(|| this.inner.poll_next(cx)));
        if this.span.is_recording() {
            let classify = || next.as_ref().map(|item| this.classify.failure(item));
            match this.span.watch(classify) {
                None => this.span.end(Outcome::Completed, None, []),
                Some(Some(failure)) => this.span.end(Outcome::Failed, Some(failure), []),
                Some(None) => this.span.or_else(Outcome::CancelledDuringBody),
            }
        }
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}
