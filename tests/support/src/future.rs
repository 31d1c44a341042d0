use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A future that is pending as often as it is told to, and then ends as it is told to.
///
/// While pending it wakes itself, so it needs no clock and no other task. Its output comes from a
/// value, so that it can be `!Send` where the test wants that.
///
/// ```
/// use futures_util::FutureExt;
/// use towline_test_support::ScriptedFuture;
///
/// assert_eq!(ScriptedFuture::ready(42).now_or_never(), Some(42));
/// assert_eq!(ScriptedFuture::<u8>::hanging().now_or_never(), None);
/// ```
#[derive(Clone, Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ScriptedFuture<T> {
    pending: usize,
    end: End<T>,
}

#[derive(Clone, Debug)]
enum End<T> {
    Ready(Option<T>),
    Panic(&'static str),
    Hang,
}

/// Polls a future once, with a waker that does nothing.
///
/// ```
/// use std::task::Poll;
/// use towline_test_support::{ScriptedFuture, poll_once};
///
/// let mut work = ScriptedFuture::ready(42).after(1);
/// assert_eq!(poll_once(&mut work), Poll::Pending);
/// assert_eq!(poll_once(&mut work), Poll::Ready(42));
/// ```
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

// === impl ScriptedFuture ===

impl<T> ScriptedFuture<T> {
    /// Ends with this output.
    pub const fn ready(output: T) -> Self {
        Self {
            pending: 0,
            end: End::Ready(Some(output)),
        }
    }

    /// Ends with a panic of this message.
    pub const fn panicking(message: &'static str) -> Self {
        Self {
            pending: 0,
            end: End::Panic(message),
        }
    }

    /// Never ends and never wakes: it is there to be dropped.
    pub const fn hanging() -> Self {
        Self {
            pending: 0,
            end: End::Hang,
        }
    }

    /// Is pending this many times first; 0 at the start.
    pub const fn after(mut self, pending: usize) -> Self {
        self.pending = pending;
        self
    }
}

impl<T> Unpin for ScriptedFuture<T> {}

impl<T> Future for ScriptedFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(left) = self.pending.checked_sub(1) {
            self.pending = left;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match &mut self.end {
            End::Ready(output) => Poll::Ready(output.take().expect("polled after it was ready")),
            End::Panic(message) => panic!("{message}"),
            End::Hang => Poll::Pending,
        }
    }
}
