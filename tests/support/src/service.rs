use std::future::Future;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::probe::{Observed, Probe};

/// A service made of a closure that tells a [`Probe`] of every `poll_ready`, `call` and poll, and
/// that insists on being polled ready.
///
/// A clone is not ready although the original was. What the closure does in `call` (panic, say) is
/// up to it; its future is usually a [`ScriptedFuture`](crate::ScriptedFuture).
///
/// ```
/// use futures_util::FutureExt;
/// use tower_service::Service;
/// use towline_test_support::{Probe, ScriptedFuture, ScriptedService};
///
/// let probe = Probe::new();
/// let mut service = ScriptedService::new(&probe, |n: u32| {
///     ScriptedFuture::ready(Ok::<_, std::io::Error>(n + 1))
/// });
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// assert!(service.poll_ready(&mut cx).is_ready());
/// assert_eq!(service.call(1).now_or_never().unwrap().unwrap(), 2);
/// assert_eq!((probe.readies(), probe.calls(), probe.polls()), (1, 1, 1));
/// ```
#[derive(Debug)]
pub struct ScriptedService<F> {
    answer: F,
    probe: Probe,
    ready: bool,
}

impl<F> ScriptedService<F> {
    /// A service that answers with this closure.
    pub fn new(probe: &Probe, answer: F) -> Self {
        Self {
            answer,
            probe: probe.clone(),
            ready: false,
        }
    }

    /// Whether it was polled ready and has not been called since.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }
}

impl<F: Clone> Clone for ScriptedService<F> {
    fn clone(&self) -> Self {
        Self::new(&self.probe, self.answer.clone())
    }
}

impl<F, Req, Fut, T, E> Service<Req> for ScriptedService<F>
where
    F: FnMut(Req) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = Observed<Fut>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.probe.saw_ready();
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    #[track_caller]
    fn call(&mut self, request: Req) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without having been polled ready"
        );
        self.probe.saw_call();
        self.probe.observe((self.answer)(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScriptedFuture;

    fn service() -> ScriptedService<impl FnMut(()) -> ScriptedFuture<Result<(), ()>> + Clone> {
        ScriptedService::new(&Probe::new(), |()| ScriptedFuture::ready(Ok(())))
    }

    #[test]
    #[should_panic(expected = "called without having been polled ready")]
    fn a_clone_of_a_ready_service_is_not_ready() {
        let mut ready = service();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(ready.poll_ready(&mut cx).is_ready());
        drop(ready.clone().call(()));
    }

    #[test]
    #[should_panic(expected = "called without having been polled ready")]
    fn one_readiness_is_for_one_call() {
        let mut ready = service();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(ready.poll_ready(&mut cx).is_ready());
        drop(ready.call(()));
        drop(ready.call(()));
    }
}
