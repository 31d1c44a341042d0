use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use pin_project_lite::pin_project;

/// What was seen of a scripted thing: how often it was called and polled, which span was current
/// then, and whether it has been dropped.
///
/// Clones share what they have seen: keep one and give the other away.
///
/// ```
/// use towline_test_support::{Probe, ScriptedFuture, TestTracing};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let (tracing, probe) = (TestTracing::always(), Probe::new());
/// let work = probe.observe(ScriptedFuture::ready(42).after(2));
/// assert_eq!(tracing.spans().span("work").run(work).await, 42);
///
/// assert_eq!(probe.polls(), 3);
/// probe.assert_inside(&tracing.only().span_context);
/// assert!(probe.is_dropped());
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Probe {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    in_ready: Vec<SpanContext>,
    in_call: Vec<SpanContext>,
    in_poll: Vec<SpanContext>,
    dropped: usize,
}

pin_project! {
    /// A future or a stream that tells a [`Probe`] of each poll and of its drop, from
    /// [`Probe::observe`].
    #[derive(Debug)]
    #[must_use = "futures and streams do nothing unless polled"]
    pub struct Observed<F> {
        #[pin]
        inner: F,
        probe: OnDrop,
    }
}

/// Marks the probe when it goes.
#[derive(Debug)]
pub(crate) struct OnDrop(Probe);

/// The span context that is current on this thread; an invalid one if none is.
#[must_use]
pub fn current_span_context() -> SpanContext {
    Context::map_current(|cx| cx.span().span_context().clone())
}

// === impl Probe ===

impl Probe {
    /// A probe that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a future or a stream.
    pub fn observe<F>(&self, inner: F) -> Observed<F> {
        Observed {
            inner,
            probe: self.on_drop(),
        }
    }

    /// How often `poll_ready` ran.
    #[must_use]
    pub fn readies(&self) -> usize {
        self.lock().in_ready.len()
    }

    /// How often `call` ran.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.lock().in_call.len()
    }

    /// How often a future, a stream or a body was polled.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.lock().in_poll.len()
    }

    /// The span that was current in each `poll_ready`.
    #[must_use]
    pub fn seen_in_ready(&self) -> Vec<SpanContext> {
        self.lock().in_ready.clone()
    }

    /// The span that was current in each `call`.
    #[must_use]
    pub fn seen_in_call(&self) -> Vec<SpanContext> {
        self.lock().in_call.clone()
    }

    /// The span that was current in each poll.
    #[must_use]
    pub fn seen_in_poll(&self) -> Vec<SpanContext> {
        self.lock().in_poll.clone()
    }

    /// Whether something that it watched has been dropped.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.lock().dropped > 0
    }

    /// How many of the things that it watched have been dropped.
    #[must_use]
    pub fn drops(&self) -> usize {
        self.lock().dropped
    }

    /// That something ran, and that every `call` and every poll ran inside this very span.
    ///
    /// # Panics
    ///
    /// If nothing ran, or if another span, or none, was current in one of them.
    #[track_caller]
    pub fn assert_inside(&self, expected: &SpanContext) {
        let seen = self.lock();
        let ids = |context: &SpanContext| (context.trace_id(), context.span_id());
        let all = seen.in_call.iter().chain(&seen.in_poll);
        assert!(all.clone().next().is_some(), "nothing was called or polled");
        for (at, context) in all.enumerate() {
            assert_eq!(
                ids(context),
                ids(expected),
                "current in step {at} ({} calls, then polls)",
                seen.in_call.len()
            );
        }
    }

    pub(crate) fn saw_ready(&self) {
        let current = current_span_context();
        self.lock().in_ready.push(current);
    }

    pub(crate) fn saw_call(&self) {
        let current = current_span_context();
        self.lock().in_call.push(current);
    }

    pub(crate) fn saw_poll(&self) {
        let current = current_span_context();
        self.lock().in_poll.push(current);
    }

    pub(crate) fn on_drop(&self) -> OnDrop {
        OnDrop(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // `assert_inside` panics while it holds the lock; what was seen is still whole.
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

// === impl OnDrop ===

impl OnDrop {
    pub(crate) fn probe(&self) -> &Probe {
        &self.0
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.lock().dropped += 1;
    }
}

// === impl Observed ===

impl<F: Future> Future for Observed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.probe.probe().saw_poll();
        this.inner.poll(cx)
    }
}

impl<S: Stream> Stream for Observed<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        this.probe.probe().saw_poll();
        this.inner.poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caller, ScriptedFuture, poll_once};

    fn polled_inside(cx: Context) -> Probe {
        let probe = Probe::new();
        let _attached = cx.attach();
        let _ = poll_once(&mut probe.observe(ScriptedFuture::ready(())));
        probe
    }

    #[test]
    fn a_poll_inside_the_span_is_inside() {
        let probe = polled_inside(Caller::sampled().context());
        probe.assert_inside(&Caller::sampled().span_context());
        assert_eq!((probe.polls(), probe.drops()), (1, 1));
    }

    #[test]
    #[should_panic(expected = "current in step 0")]
    fn a_poll_outside_is_not() {
        polled_inside(Context::new()).assert_inside(&Caller::sampled().span_context());
    }

    #[test]
    #[should_panic(expected = "nothing was called or polled")]
    fn what_never_ran_was_not_inside() {
        Probe::new().assert_inside(&Caller::sampled().span_context());
    }
}
