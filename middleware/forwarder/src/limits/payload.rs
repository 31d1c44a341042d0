use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
#[cfg(feature = "zstd")]
use zstd::stream::raw::{Decoder as RawZstd, Operation};

use super::Held;
use crate::failure::{Failure, FailureKind};

/// How a body, or a message in it, is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Identity,
    Gzip,
    #[cfg(feature = "zstd")]
    Zstd,
}

/// A request as it comes in: decompressed piece by piece, and refused as soon as it is too large.
///
/// Nothing is compressed at the level of bodies only: gRPC compresses messages. So this is the one
/// place for both, in front of which a layer for HTTP bodies would have to be told apart.
pub(crate) struct Payload {
    decoder: Decoder,
    wire_bytes: usize,
    max_bytes: usize,
}

enum Decoder {
    Identity(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<Zstd>),
}

/// A buffer that has a limit, and takes its room from the budget of all.
struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
    held: Held,
    /// Why it refused to grow: writers can only say that they failed.
    refused: Option<Failure>,
}

#[cfg(feature = "zstd")]
struct Zstd {
    raw: RawZstd<'static>,
    out: Bounded,
    scratch: Vec<u8>,
    /// A frame has begun and has not ended.
    open: bool,
}

// === impl Compression ===

impl Compression {
    /// By its name in `content-encoding` and `grpc-encoding`; `None` if it is not known here.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii();
        if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
            return Some(Self::Identity);
        }
        if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        #[cfg(feature = "zstd")]
        if name.eq_ignore_ascii_case(b"zstd") {
            return Some(Self::Zstd);
        }
        None
    }

    /// What can be sent here, for `accept-encoding`.
    #[cfg(feature = "zstd")]
    pub(crate) const ACCEPTED: &'static str = "gzip, zstd, identity";
    /// What can be sent here, for `accept-encoding`.
    #[cfg(not(feature = "zstd"))]
    pub(crate) const ACCEPTED: &'static str = "gzip, identity";
}

// === impl Payload ===

impl Payload {
    /// A payload of at most `max_bytes`, before and after decompression.
    pub(crate) fn new(
        compression: Compression,
        max_bytes: usize,
        held: Held,
    ) -> Result<Self, Failure> {
        let out = Bounded {
            bytes: vec![],
            max_bytes,
            held,
            refused: None,
        };
        let decoder = match compression {
            Compression::Identity => Decoder::Identity(out),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(out))),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Decoder::Zstd(Box::new(Zstd::new(out).map_err(|error| {
                Failure::new(FailureKind::Internal, format!("no zstd: {error}"))
            })?)),
        };
        Ok(Self {
            decoder,
            wire_bytes: 0,
            max_bytes,
        })
    }

    /// Takes the next piece as it came.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.wire_bytes = self.wire_bytes.saturating_add(piece.len());
        if self.wire_bytes > self.max_bytes {
            return Err(Failure::too_large(self.max_bytes));
        }
        let written = match &mut self.decoder {
            Decoder::Identity(out) => out.write_all(piece),
            Decoder::Gzip(decoder) => decoder.write_all(piece),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.push(piece),
        };
        written.map_err(|error| self.failure(&error))
    }

    /// Nothing comes any more.
    pub(crate) fn finish(mut self) -> Result<(Bytes, Held), Failure> {
        let finished = match &mut self.decoder {
            Decoder::Identity(_) => Ok(()),
            Decoder::Gzip(decoder) => decoder.try_finish(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        finished.map_err(|error| self.failure(&error))?;
        let out = match self.decoder {
            Decoder::Identity(out) => out,
            Decoder::Gzip(decoder) => decoder.finish().map_err(|error| unreadable(&error))?,
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.out,
        };
        Ok((Bytes::from(out.bytes), out.held))
    }

    /// How much there is by now, decompressed.
    pub(crate) fn len_bytes(&self) -> usize {
        match &self.decoder {
            Decoder::Identity(out) => out.bytes.len(),
            Decoder::Gzip(decoder) => decoder.get_ref().bytes.len(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.out.bytes.len(),
        }
    }

    /// Whether a small piece can become a large one.
    pub(crate) const fn is_compressed(&self) -> bool {
        !matches!(self.decoder, Decoder::Identity(_))
    }

    fn failure(&mut self, error: &io::Error) -> Failure {
        let out = match &mut self.decoder {
            Decoder::Identity(out) => out,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => &mut decoder.out,
        };
        out.refused.take().unwrap_or_else(|| unreadable(error))
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        FailureKind::Framing,
        format!("the request cannot be decompressed: {error}"),
    )
}

// === impl Bounded ===

impl Bounded {
    /// Makes room for `more` bytes, or says why there is none.
    fn grow(&mut self, more: usize) -> Result<(), Failure> {
        let (len, capacity) = (self.bytes.len(), self.bytes.capacity());
        let needed = len
            .checked_add(more)
            .filter(|needed| *needed <= self.max_bytes)
            .ok_or_else(|| Failure::too_large(self.max_bytes))?;
        if needed > capacity {
            // As a vector grows by itself, but never beyond the limit, and with the room asked for.
            let capacity = capacity
                .saturating_mul(2)
                .clamp(MIN_CAPACITY.min(self.max_bytes), self.max_bytes)
                .max(needed);
            self.held.resize(capacity)?;
            self.bytes.reserve_exact(capacity - len);
        }
        Ok(())
    }
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if let Err(failure) = self.grow(piece.len()) {
            self.refused = Some(failure);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Zstd ===

#[cfg(feature = "zstd")]
impl Zstd {
    fn new(out: Bounded) -> io::Result<Self> {
        let mut raw = RawZstd::new()?;
        raw.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(MAX_WINDOW_LOG))?;
        Ok(Self {
            raw,
            out,
            scratch: vec![0; SCRATCH_BYTES],
            open: false,
        })
    }

    fn push(&mut self, mut piece: &[u8]) -> io::Result<()> {
        loop {
            let status = self.raw.run_on_buffers(piece, &mut self.scratch)?;
            piece = piece.get(status.bytes_read..).unwrap_or_default();
            let written = self.scratch.get(..status.bytes_written);
            self.out.write_all(written.unwrap_or_default())?;
            // A frame that is not complete may still have output when all input is gone; a full
            // scratch says that there may be more.
            let full = status.bytes_written == self.scratch.len();
            if status.bytes_read > 0 || status.bytes_written > 0 {
                self.open = status.remaining > 0;
            } else if !piece.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if piece.is_empty() && !(full && self.open) {
                return Ok(());
            }
        }
    }

    fn finish(&self) -> io::Result<()> {
        match self.open {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(()),
        }
    }
}

/// The first allocation, which most requests fit into.
const MIN_CAPACITY: usize = 8 << 10;

/// A frame says itself how much memory its decoder needs: 8 MiB is what [RFC 8878, section
/// 3.1.1.1.2](https://www.rfc-editor.org/rfc/rfc8878.html#section-3.1.1.1.2) recommends to support,
/// and what browsers do.
#[cfg(feature = "zstd")]
const MAX_WINDOW_LOG: u32 = 23;

#[cfg(feature = "zstd")]
const SCRATCH_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use flate2::write::GzEncoder;

    use super::*;
    use crate::limits::Budget;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    /// Each compression that there is, with something that compresses.
    fn compressions() -> Vec<(Compression, Compress)> {
        vec![
            (Compression::Identity, <[u8]>::to_vec),
            (Compression::Gzip, gzip),
            #[cfg(feature = "zstd")]
            (Compression::Zstd, |bytes| {
                zstd::encode_all(bytes, 19).unwrap()
            }),
        ]
    }

    fn read(
        compression: Compression,
        max_bytes: usize,
        budget: &Budget,
        pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Bytes, Failure> {
        let mut payload = Payload::new(compression, max_bytes, budget.hold())?;
        for piece in pieces {
            payload.push(piece.as_ref())?;
        }
        payload.finish().map(|(bytes, _)| bytes)
    }

    #[test]
    fn what_was_sent_comes_out_however_it_is_cut() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_le_bytes()).collect();
        let budget = Budget::new(usize::MAX);
        for (compression, compress) in compressions() {
            for content in [&text[..], b"", b"x"] {
                let sent = compress(content);
                for size in [1, 7, 1000, sent.len().max(1)] {
                    let read = read(compression, text.len(), &budget, sent.chunks(size));
                    assert_eq!(read.unwrap(), content, "{compression:?} {size}");
                }
            }
        }
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn several_in_a_row_are_read_as_one() {
        let budget = Budget::new(usize::MAX);
        for (compression, compress) in compressions() {
            let sent = [compress(b"one"), compress(b""), compress(b"two")].concat();
            for size in [1, sent.len()] {
                let read = read(compression, 100, &budget, sent.chunks(size));
                assert_eq!(read.unwrap(), &b"onetwo"[..], "{compression:?} {size}");
            }
        }
    }

    #[test]
    fn one_byte_more_than_the_limit_is_too_much() {
        let budget = Budget::new(usize::MAX);
        let text = vec![7; 100_000];
        for (compression, compress) in compressions() {
            let sent = compress(&text);
            assert!(read(compression, text.len(), &budget, [&sent]).is_ok());
            let failure = read(compression, text.len() - 1, &budget, [&sent]).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::TooLarge, "{compression:?}");
        }
        // So is more than the limit before it is decompressed.
        let members: Vec<u8> = std::iter::repeat_n(gzip(b""), 50).flatten().collect();
        let failure = read(Compression::Gzip, members.len() - 1, &budget, [&members]);
        assert_eq!(failure.unwrap_err().kind(), FailureKind::TooLarge);
        assert!(read(Compression::Gzip, members.len(), &budget, [&members]).is_ok());
    }

    #[test]
    fn a_budget_that_is_used_up_says_so() {
        let budget = Budget::new(100_000);
        let mut other = budget.hold();
        other.resize(60_000).unwrap();
        for (compression, compress) in compressions() {
            let sent = compress(&[7; 50_000]);
            let failure = read(compression, 1 << 20, &budget, [&sent]).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Busy, "{compression:?}");
            assert_eq!(budget.used(), 60_000);
        }
    }

    #[test]
    fn what_is_cut_short_or_broken_cannot_be_read() {
        let budget = Budget::new(usize::MAX);
        for (compression, compress) in compressions() {
            if compression == Compression::Identity {
                continue;
            }
            let sent = compress(b"some text, and some more text");
            for len in 1..sent.len() {
                let failure = read(compression, 1000, &budget, [&sent[..len]]).unwrap_err();
                assert_eq!(
                    failure.kind(),
                    FailureKind::Framing,
                    "{compression:?} {len}"
                );
            }
            for garbage in [&b"garbage that is none"[..], &[0; 20], &[0xff; 20]] {
                assert!(read(compression, 1000, &budget, [garbage]).is_err());
                let after = [&sent[..], garbage].concat();
                assert!(read(compression, 1000, &budget, [after]).is_err());
            }
        }
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_frame_that_wants_much_memory_gets_none() {
        let mut encoder = zstd::stream::write::Encoder::new(vec![], 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let sent = encoder.finish().unwrap();
        let budget = Budget::new(usize::MAX);
        let failure = read(Compression::Zstd, 1000, &budget, [sent]).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Framing);
    }

    #[test]
    fn names_are_those_of_the_protocols() {
        for (name, known) in [
            ("", true),
            ("identity", true),
            ("gzip", true),
            (" GZIP ", true),
            ("x-gzip", true),
            ("zstd", cfg!(feature = "zstd")),
            ("deflate", false),
            ("br", false),
            ("gzip, zstd", false),
        ] {
            assert_eq!(
                Compression::named(name.as_bytes()).is_some(),
                known,
                "{name}"
            );
        }
        for name in Compression::ACCEPTED.split(", ") {
            assert!(Compression::named(name.as_bytes()).is_some(), "{name}");
        }
    }
}
