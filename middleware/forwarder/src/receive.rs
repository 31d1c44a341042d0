//! Reads the body of a request, with what it may cost.

use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, LengthLimitError};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::failure::{Failure, FailureKind};
use crate::limits::{Held, Payload};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Where a body goes.
pub(crate) trait Sink {
    /// Takes the next piece.
    fn push(&mut self, piece: &[u8]) -> Result<(), Failure>;

    /// The body is over: the message in it.
    fn finish(self) -> Result<(Bytes, Held), Failure>;

    /// How much there is by now.
    fn len_bytes(&self) -> usize;

    /// The most bytes that should be pushed at a time.
    fn piece_bytes(&self) -> usize;
}

impl Sink for Payload {
    fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        Self::push(self, piece)
    }

    fn finish(self) -> Result<(Bytes, Held), Failure> {
        Self::finish(self)
    }

    fn len_bytes(&self) -> usize {
        Self::len_bytes(self)
    }

    fn piece_bytes(&self) -> usize {
        Self::piece_bytes(self)
    }
}

/// Reads a body to its end.
pub(crate) async fn receive<B, S>(
    body: B,
    mut sink: S,
    idle_timeout: Duration,
) -> Result<(Bytes, Held), Failure>
where
    B: Body<Error: Into<BoxError>>,
    S: Sink,
{
    let mut body = pin!(body);
    let mut since_yield = SinceYield::default();
    loop {
        let Some(frame) = next(body.as_mut(), idle_timeout).await? else {
            return sink.finish();
        };
        // An empty one as well: there may be no end of them.
        since_yield.frames += 1;
        // Trailers of a request mean nothing here.
        if let Ok(mut data) = frame.into_data() {
            while data.has_remaining() {
                let chunk = data.chunk();
                let piece = chunk.get(..sink.piece_bytes()).unwrap_or(chunk);
                let taken = piece.len();
                let before = sink.len_bytes();
                sink.push(piece)?;
                data.advance(taken);
                since_yield.taken_bytes += taken;
                since_yield.made_bytes += sink.len_bytes() - before;
                since_yield.yield_if_due().await;
            }
        }
        since_yield.yield_if_due().await;
    }
}

/// What was done since others had their turn. A body that always has something more at hand, and what
/// a few bytes are inflated to, must not keep them waiting, nor the timers of this request.
#[derive(Default)]
struct SinceYield {
    frames: usize,
    taken_bytes: usize,
    made_bytes: usize,
}

impl SinceYield {
    async fn yield_if_due(&mut self) {
        if self.frames > YIELD_FRAMES
            || self.taken_bytes > YIELD_TAKEN_BYTES
            || self.made_bytes > YIELD_MADE_BYTES
        {
            *self = Self::default();
            yield_now().await;
        }
    }
}

/// The next frame, if it comes in time.
async fn next<B>(
    mut body: Pin<&mut B>,
    idle_timeout: Duration,
) -> Result<Option<Frame<B::Data>>, Failure>
where
    B: Body<Error: Into<BoxError>>,
{
    match timeout(idle_timeout, body.frame()).await {
        Ok(frame) => frame.transpose().map_err(|error| broken(error.into())),
        Err(_) => {
            let message = "nothing came of the request for too long";
            Err(Failure::new(FailureKind::Idle, message))
        }
    }
}

fn broken(error: BoxError) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(error) = source {
        // Of a layer around us, such as tower-http's.
        if error.is::<LengthLimitError>() {
            return Failure::new(FailureKind::TooLarge, "received message larger than max");
        }
        source = match error.downcast_ref::<io::Error>() {
            // Whose source is the source of what it wraps.
            Some(error) => error.get_ref().map(|error| error as _),
            None => error.source(),
        };
    }
    Failure::new(FailureKind::Broken, "the request broke off")
}

const YIELD_FRAMES: usize = 16;
const YIELD_TAKEN_BYTES: usize = 64 << 10;
const YIELD_MADE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, Limited};

    use super::*;

    #[tokio::test]
    async fn the_limit_of_a_layer_around_us_is_known_however_it_is_wrapped() {
        let limited = || Limited::new(Full::new(Bytes::from_static(b"too long")), 3);
        let error = limited().collect().await.unwrap_err();
        assert_eq!(broken(error).kind(), FailureKind::TooLarge);
        let error = limited().collect().await.unwrap_err();
        let wrapped = io::Error::other(io::Error::other(error));
        assert_eq!(broken(wrapped.into()).kind(), FailureKind::TooLarge);
        let other = io::Error::other("the connection is gone");
        assert_eq!(broken(other.into()).kind(), FailureKind::Broken);
    }
}
