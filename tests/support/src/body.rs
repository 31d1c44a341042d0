use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::probe::{OnDrop, Probe};

/// One step of a [`ScriptedBody`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BodyStep {
    /// A data frame.
    Data(Bytes),
    /// The trailers.
    Trailers(HeaderMap),
    /// A [`ScriptedError`].
    Error(&'static str),
    /// Pending once; it wakes itself.
    Pending,
    /// Pending for ever, without a wake: the body is there to be dropped.
    Hang,
    /// A panic.
    Panic(&'static str),
    /// The end, although steps may follow: what an impolite reader gets who polls on.
    End,
}

/// The error of [`BodyStep::Error`], with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedError(pub &'static str);

/// A body that does one scripted step at each poll, and is at its end when the script is.
///
/// Every poll is told to its [`Probe`], and so is its drop. At first it answers `size_hint` and
/// `is_end_stream` as a body that knows nothing of its length: see
/// [`announcing_size`](Self::announcing_size), [`announcing_end`](Self::announcing_end) and
/// [`with_size_hint`](Self::with_size_hint).
///
/// ```
/// use http_body::Body;
/// use http_body_util::BodyExt;
/// use towline_test_support::{BodyStep, Probe, ScriptedBody};
///
/// # futures_util::FutureExt::now_or_never(async {
/// let probe = Probe::new();
/// let body = ScriptedBody::new(&probe, [
///     BodyStep::data("one"),
///     BodyStep::trailer("grpc-status", "0"),
/// ])
/// .announcing_size();
/// assert_eq!(body.size_hint().exact(), Some(3));
///
/// let collected = body.collect().await.expect("there is no error in the script");
/// assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
/// assert_eq!(collected.to_bytes(), "one");
/// assert_eq!(probe.polls(), 3);
/// # }).expect("nothing is pending");
/// ```
#[derive(Debug)]
pub struct ScriptedBody {
    steps: VecDeque<BodyStep>,
    size: Size,
    announces_end: bool,
    probe: OnDrop,
}

#[derive(Debug)]
enum Size {
    Unknown,
    Remaining,
    Fixed(SizeHint),
}

// === impl BodyStep ===

impl BodyStep {
    /// A data frame of this text.
    #[must_use]
    pub fn data(text: &'static str) -> Self {
        Self::Data(Bytes::from_static(text.as_bytes()))
    }

    /// Trailers with one field.
    ///
    /// # Panics
    ///
    /// If the name or the value is not a legal one.
    #[must_use]
    #[track_caller]
    pub fn trailer(name: &'static str, value: &'static str) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, http::HeaderValue::from_static(value));
        Self::Trailers(trailers)
    }
}

// === impl ScriptedError ===

impl fmt::Display for ScriptedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for ScriptedError {}

// === impl ScriptedBody ===

impl ScriptedBody {
    /// A body of these steps.
    pub fn new(probe: &Probe, steps: impl IntoIterator<Item = BodyStep>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            size: Size::Unknown,
            announces_end: false,
            probe: probe.on_drop(),
        }
    }

    /// Answers `size_hint` with the exact number of bytes that are still to come, as a body with a
    /// known length does.
    #[must_use]
    pub fn announcing_size(mut self) -> Self {
        self.size = Size::Remaining;
        self
    }

    /// Answers `size_hint` with this one at all times, true or not.
    #[must_use]
    pub fn with_size_hint(mut self, hint: SizeHint) -> Self {
        self.size = Size::Fixed(hint);
        self
    }

    /// Answers `is_end_stream` with true as soon as nothing is left, or only an end.
    #[must_use]
    pub fn announcing_end(mut self) -> Self {
        self.announces_end = true;
        self
    }

    fn remaining_bytes(&self) -> u64 {
        self.steps
            .iter()
            .map(|step| match step {
                BodyStep::Data(data) => data.len() as u64,
                _ => 0,
            })
            .sum()
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = ScriptedError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ScriptedError>>> {
        self.probe.probe().saw_poll();
        match self.steps.pop_front() {
            Some(BodyStep::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(BodyStep::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(BodyStep::Error(text)) => Poll::Ready(Some(Err(ScriptedError(text)))),
            Some(BodyStep::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(BodyStep::Hang) => {
                self.steps.push_front(BodyStep::Hang);
                Poll::Pending
            }
            Some(BodyStep::Panic(message)) => panic!("{message}"),
            Some(BodyStep::End) | None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.announces_end && matches!(self.steps.front(), None | Some(BodyStep::End))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.size {
            Size::Unknown => SizeHint::default(),
            Size::Remaining => SizeHint::with_exact(self.remaining_bytes()),
            Size::Fixed(hint) => *hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: &mut ScriptedBody) -> Poll<Option<Result<Frame<Bytes>, ScriptedError>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn each_poll_is_one_step_and_the_end_stays() {
        let probe = Probe::new();
        let mut body = ScriptedBody::new(
            &probe,
            [
                BodyStep::Pending,
                BodyStep::data("one"),
                BodyStep::Error("reset"),
                BodyStep::trailer("a", "b"),
            ],
        );
        assert!(poll(&mut body).is_pending());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        assert!(
            matches!(poll(&mut body), Poll::Ready(Some(Err(error))) if error.to_string() == "reset")
        );
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
        assert_eq!((probe.polls(), probe.is_dropped()), (6, false));
        drop(body);
        assert!(probe.is_dropped());
    }

    #[test]
    fn a_hanging_body_hangs_for_ever() {
        let mut body = ScriptedBody::new(&Probe::new(), [BodyStep::Hang, BodyStep::data("x")]);
        for _ in 0..3 {
            assert!(poll(&mut body).is_pending());
        }
    }

    #[test]
    #[should_panic(expected = "half-way")]
    fn a_panicking_body_panics() {
        let mut body = ScriptedBody::new(&Probe::new(), [BodyStep::Panic("half-way")]);
        let _ = poll(&mut body);
    }

    #[test]
    fn hints_are_given_only_if_asked_for() {
        let steps = || [BodyStep::data("one"), BodyStep::data("three")];
        let probe = Probe::new();
        let mut silent = ScriptedBody::new(&probe, steps());
        let mut talkative = ScriptedBody::new(&probe, steps())
            .announcing_size()
            .announcing_end();
        for remaining in [8, 5, 0] {
            assert_eq!(
                (silent.size_hint().exact(), silent.is_end_stream()),
                (None, false)
            );
            assert_eq!(talkative.size_hint().exact(), Some(remaining));
            assert_eq!(talkative.is_end_stream(), remaining == 0);
            let _ = (poll(&mut silent), poll(&mut talkative));
        }
        let wrong = ScriptedBody::new(&probe, steps()).with_size_hint(SizeHint::with_exact(1));
        assert_eq!(wrong.size_hint().exact(), Some(1));
    }
}
