//! The frame around a gRPC message, and that there is exactly one.

use bytes::Bytes;

use crate::failure::{Failure, FailureKind};
use crate::limits::{Compression, Held, Payload};
use crate::receive::Sink;

/// The body of a unary call, read piece by piece.
///
/// A [length-prefixed message]: a flag that says whether it is compressed, its length in four bytes,
/// big-endian, and the message. What is announced to be too large is refused when its length has
/// been read.
///
/// [length-prefixed message]: https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md
pub(super) struct Frame {
    compression: Compression,
    max_bytes: usize,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// For the message, when it begins.
    held: Option<Held>,
    message: Option<Message>,
}

struct Message {
    payload: Payload,
    missing_bytes: usize,
}

// === impl Frame ===

impl Frame {
    /// `compression` is the one of `grpc-encoding`, which a message uses or does not.
    pub(super) const fn new(compression: Compression, max_bytes: usize, held: Held) -> Self {
        Self {
            compression,
            max_bytes,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            held: Some(held),
            message: None,
        }
    }

    /// Takes what belongs to the head, and gives back the rest.
    fn read_head<'a>(&mut self, mut piece: &'a [u8]) -> Result<&'a [u8], Failure> {
        while let Some(place) = self.head.get_mut(self.head_bytes) {
            let Some((byte, rest)) = piece.split_first() else {
                return Ok(piece);
            };
            *place = *byte;
            self.head_bytes += 1;
            piece = rest;
        }
        if let Some(held) = self.held.take() {
            self.message = Some(self.begin(held)?);
        }
        Ok(piece)
    }

    /// What the head says.
    fn begin(&self, held: Held) -> Result<Message, Failure> {
        let [flag, length @ ..] = self.head;
        let compression = match (flag, self.compression) {
            (0, _) => Compression::Identity,
            (1, Compression::Identity) => {
                return Err(framing("the message is compressed, and it is not said how"));
            }
            (1, compression) => compression,
            _ => return Err(framing("the message has a flag that does not exist")),
        };
        let missing_bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if missing_bytes > self.max_bytes {
            return Err(Failure::too_large(self.max_bytes));
        }
        Ok(Message {
            payload: Payload::new(compression, self.max_bytes, held)?,
            missing_bytes,
        })
    }
}

impl Sink for Frame {
    fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let piece = self.read_head(piece)?;
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        match piece.split_at_checked(message.missing_bytes) {
            None | Some((_, [])) => {
                message.missing_bytes -= piece.len();
                message.payload.push(piece)
            }
            Some(_) => Err(cardinality("more than one message")),
        }
    }

    fn finish(self) -> Result<(Bytes, Held), Failure> {
        match self.message {
            Some(message) if message.missing_bytes == 0 => message.payload.finish(),
            Some(_) => Err(framing("the body ends within the message")),
            None if self.head_bytes == 0 => Err(cardinality("no message")),
            None => Err(framing("the body ends before the message")),
        }
    }

    fn len_bytes(&self) -> usize {
        self.message
            .as_ref()
            .map_or(0, |message| message.payload.len_bytes())
    }

    fn piece_bytes(&self) -> usize {
        match (&self.message, self.compression) {
            (Some(message), _) => message.payload.piece_bytes(),
            (None, Compression::Identity) => usize::MAX,
            // What is behind the head must not be more than a decoder should have at a time.
            (None, _) => HEAD_BYTES,
        }
    }
}

fn framing(message: &'static str) -> Failure {
    Failure::new(FailureKind::Framing, message)
}

fn cardinality(message: &'static str) -> Failure {
    Failure::new(FailureKind::Cardinality, message)
}

/// The bytes before a message.
pub(super) const HEAD_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::limits::Budget;

    const MAX_BYTES: usize = 64;

    fn read(
        compression: Compression,
        pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Bytes, FailureKind> {
        let budget = Budget::new(usize::MAX);
        let mut frame = Frame::new(compression, MAX_BYTES, budget.hold());
        let pushed = pieces
            .into_iter()
            .try_for_each(|piece| frame.push(piece.as_ref()));
        pushed
            .and_then(|()| frame.finish())
            .map(|(bytes, _)| bytes)
            .map_err(|failure| failure.kind())
    }

    /// The same in one go, slowly and with everything at hand.
    fn expected(body: &[u8]) -> Result<Vec<u8>, FailureKind> {
        if body.is_empty() {
            return Err(FailureKind::Cardinality);
        }
        if body.len() < HEAD_BYTES {
            return Err(FailureKind::Framing);
        }
        let len = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        if body[0] > 0 {
            return Err(FailureKind::Framing);
        }
        if len > MAX_BYTES {
            return Err(FailureKind::TooLarge);
        }
        match (body.len() - HEAD_BYTES).cmp(&len) {
            std::cmp::Ordering::Less => Err(FailureKind::Framing),
            std::cmp::Ordering::Equal => Ok(body[HEAD_BYTES..].to_vec()),
            std::cmp::Ordering::Greater => Err(FailureKind::Cardinality),
        }
    }

    #[test]
    fn every_flag_but_two_is_refused() {
        for flag in 0..=255 {
            let body = [flag, 0, 0, 0, 1, 7];
            let expected = match flag {
                0 => Ok(Bytes::from_static(&[7])),
                _ => Err(FailureKind::Framing),
            };
            assert_eq!(read(Compression::Identity, [body]), expected, "{flag}");
            // A flag of 1 says gzip, which `7` is not.
            assert_eq!(read(Compression::Gzip, [body]), expected, "{flag}");
        }
    }

    #[test]
    fn a_length_that_is_too_large_is_refused_before_the_message() {
        for len in [MAX_BYTES as u32 + 1, u32::MAX] {
            let [a, b, c, d] = len.to_be_bytes();
            let budget = Budget::new(usize::MAX);
            let mut frame = Frame::new(Compression::Identity, MAX_BYTES, budget.hold());
            let failure = frame.push(&[0, a, b, c, d]).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::TooLarge);
        }
    }

    #[test]
    fn a_length_takes_no_memory_before_the_message_comes() {
        let budget = Budget::new(usize::MAX);
        let mut frame = Frame::new(Compression::Identity, 1 << 30, budget.hold());
        frame.push(&[0, 0x20, 0, 0, 0, 1]).unwrap();
        assert!(budget.used() < 1 << 16, "{}", budget.used());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(
            flag in prop_oneof![8 => Just(0u8), 1 => any::<u8>()],
            len in prop_oneof![4 => 0..80u32, 1 => any::<u32>()],
            message in vec(any::<u8>(), 0..80),
            fits in any::<bool>(),
            cut in 0..90usize,
            size in 1..20usize,
        ) {
            let len = if fits { message.len() as u32 } else { len };
            let mut body = vec![flag];
            body.extend(len.to_be_bytes());
            body.extend(message);
            if !fits {
                body.truncate(cut);
            }
            let expected = expected(&body);
            let read = read(Compression::Identity, body.chunks(size));
            prop_assert_eq!(read.map(|bytes| bytes.to_vec()), expected);
        }

        #[test]
        fn nothing_breaks_it(
            pieces in vec(vec(any::<u8>(), 0..9), 0..9),
            gzip in any::<bool>(),
        ) {
            let compression = if gzip { Compression::Gzip } else { Compression::Identity };
            if let Ok(bytes) = read(compression, pieces) {
                prop_assert!(bytes.len() <= MAX_BYTES);
            }
        }
    }
}
