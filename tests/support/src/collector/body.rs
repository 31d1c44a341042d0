use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::connection::{Answering, Connection, Fate};

/// The body of an answer. As long as it lives, the answer is not all written.
#[derive(Debug, Default)]
pub(super) struct AnswerBody {
    frames: VecDeque<Frame<Bytes>>,
    /// What becomes of the connection when all frames are out, in place of an end.
    then: Option<(Arc<Connection>, Fate)>,
    /// There for its drop.
    _answering: Option<Answering>,
}

impl AnswerBody {
    /// Data, with its last byte apart: hyper asks for the next frame when HTTP/2's window has room
    /// for a byte, so that by then all before it has had room, and a body that is dropped at its end
    /// waits for no window.
    pub(super) fn data(bytes: impl Into<Bytes>) -> Self {
        let mut first = bytes.into();
        let last = first.split_off(first.len().saturating_sub(1));
        let frames = [first, last].into_iter();
        Self {
            frames: frames
                .filter(|data| !data.is_empty())
                .map(Frame::data)
                .collect(),
            ..Self::default()
        }
    }

    pub(super) fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.frames.push_back(Frame::trailers(trailers));
        self
    }

    pub(super) fn then(mut self, connection: &Arc<Connection>, fate: Fate) -> Self {
        self.then = Some((Arc::clone(connection), fate));
        self
    }

    pub(super) fn guarded(mut self, answering: Answering) -> Self {
        self._answering = Some(answering);
        self
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match &self.then {
            None => Poll::Ready(None),
            Some((connection, fate)) => {
                // The connection's task does it once what came before is written.
                connection.meet(fate.clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.then.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.then.is_some() {
            return SizeHint::default();
        }
        let bytes = self.frames.iter().filter_map(Frame::data_ref);
        SizeHint::with_exact(bytes.map(|data| data.len() as u64).sum())
    }
}
