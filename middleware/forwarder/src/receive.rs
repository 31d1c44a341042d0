//! Reads the body of a request, with what it may cost.

use std::error::Error;
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

    /// Whether a small piece can become a large one.
    fn is_compressed(&self) -> bool;
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

    fn is_compressed(&self) -> bool {
        Self::is_compressed(self)
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
    let (mut yielded_at, mut pieces) = (0, 0);
    loop {
        let Some(frame) = next(body.as_mut(), idle_timeout).await? else {
            return sink.finish();
        };
        // Trailers of a request mean nothing here.
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            let piece = match sink.is_compressed() {
                true => chunk.get(..COMPRESSED_PIECE_BYTES).unwrap_or(chunk),
                false => chunk,
            };
            let taken = piece.len();
            sink.push(piece)?;
            data.advance(taken);
            pieces += 1;
            // What a few bytes are inflated to must not keep others waiting.
            if sink.len_bytes() - yielded_at > YIELD_BYTES || pieces > YIELD_PIECES {
                (yielded_at, pieces) = (sink.len_bytes(), 0);
                yield_now().await;
            }
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
        source = error.source();
    }
    Failure::new(FailureKind::Broken, "the request broke off")
}

/// Deflate makes a thousand bytes of one at most, and so this some 4 MiB.
const COMPRESSED_PIECE_BYTES: usize = 4 << 10;

const YIELD_BYTES: usize = 1 << 20;
const YIELD_PIECES: usize = 16;
