use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
#[cfg(feature = "zstd")]
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

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
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
    held: Held,
    /// What is held for whoever writes into it.
    writer_bytes: usize,
    /// Why it refused to grow: writers can only say that they failed.
    refused: Option<Failure>,
}

#[cfg(feature = "zstd")]
struct Zstd {
    context: DCtx<'static>,
    /// What it has before it knows how large its window is.
    context_bytes: usize,
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
        let mut out = Bounded::new(max_bytes, held);
        let decoder = match compression {
            Compression::Identity => Decoder::Identity(out),
            Compression::Gzip => {
                out.hold_for_writer(GZIP_BYTES)?;
                Decoder::Gzip(Box::new(MultiGzDecoder::new(out)))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => Decoder::Zstd(Box::new(Zstd::new(out)?)),
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
        let mut out = match self.decoder {
            Decoder::Identity(out) => out,
            Decoder::Gzip(decoder) => decoder.finish().map_err(|error| unreadable(&error))?,
            #[cfg(feature = "zstd")]
            Decoder::Zstd(decoder) => decoder.out,
        };
        out.hold_for_writer(0)?;
        Ok(out.into_bytes())
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

    /// The most bytes that should be pushed at a time: what they become takes some milliseconds at
    /// most.
    pub(crate) const fn piece_bytes(&self) -> usize {
        match &self.decoder {
            Decoder::Identity(_) => usize::MAX,
            Decoder::Gzip(_) => GZIP_PIECE_BYTES,
            #[cfg(feature = "zstd")]
            Decoder::Zstd(_) => ZSTD_PIECE_BYTES,
        }
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
    pub(crate) const fn new(max_bytes: usize, held: Held) -> Self {
        Self {
            bytes: vec![],
            max_bytes,
            held,
            writer_bytes: 0,
            refused: None,
        }
    }

    pub(crate) fn into_bytes(self) -> (Bytes, Held) {
        (Bytes::from(self.bytes), self.held)
    }

    /// What has been written. There is room for as much as [`grow`](Self::grow) was asked for.
    pub(crate) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes room for something else than the buffer.
    fn hold_for_writer(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes != self.writer_bytes {
            let all = self.bytes.capacity().saturating_add(bytes);
            self.held.resize(all)?;
            self.writer_bytes = bytes;
        }
        Ok(())
    }

    /// Makes room for `more` bytes, or says why there is none.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Failure> {
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
            let all = capacity.saturating_add(self.writer_bytes);
            self.held.resize(all)?;
            self.bytes.reserve_exact(capacity - len);
        }
        Ok(())
    }

    fn refuse(&mut self, failure: Failure) -> io::Result<()> {
        self.refused = Some(failure);
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.grow(piece.len())
            .or_else(|failure| self.refuse(failure))?;
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
    fn new(mut out: Bounded) -> Result<Self, Failure> {
        let no_zstd = || Failure::new(FailureKind::Internal, "there is no zstd");
        let mut context = DCtx::try_create().ok_or_else(no_zstd)?;
        context
            .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
            .map_err(|_| no_zstd())?;
        let context_bytes = context.sizeof() + SCRATCH_BYTES;
        out.hold_for_writer(context_bytes)?;
        Ok(Self {
            context,
            context_bytes,
            out,
            scratch: vec![0; SCRATCH_BYTES],
            open: false,
        })
    }

    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        let mut piece = InBuffer::around(piece);
        loop {
            let before = piece.pos();
            let mut scratch = OutBuffer::around(self.scratch.as_mut_slice());
            let missing = self
                .context
                .decompress_stream(&mut scratch, &mut piece)
                .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
            let written = scratch.pos();
            let has_read = piece.pos() > before;
            let is_empty = piece.pos() == piece.src.len();
            self.out
                .write_all(self.scratch.get(..written).unwrap_or_default())?;
            self.hold_window()?;
            // A frame that is not complete may still have output when all input is gone; a full
            // scratch says that there may be more.
            let is_full = written == self.scratch.len();
            if has_read || written > 0 {
                self.open = missing > 0;
            } else if !is_empty {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if is_empty && !(is_full && self.open) {
                return Ok(());
            }
        }
    }

    /// Each frame says how large its window is: the decoder makes it at once, and it takes memory as
    /// it is filled with what comes out.
    fn hold_window(&mut self) -> io::Result<()> {
        let filled = self.context_bytes + BLOCK_BYTES + self.out.bytes.len();
        let made = self.context.sizeof() + SCRATCH_BYTES;
        self.out
            .hold_for_writer(made.min(filled))
            .or_else(|failure| self.out.refuse(failure))
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

/// What a decoder of gzip has: a window of 32 KiB, its tables, and a buffer as large again.
const GZIP_BYTES: usize = 96 << 10;

/// Deflate makes a thousand bytes of one at most, and so this some 4 MiB.
const GZIP_PIECE_BYTES: usize = 4 << 10;

/// Zstd makes a block of 128 KiB of four bytes, and so this some 4 MiB.
#[cfg(feature = "zstd")]
const ZSTD_PIECE_BYTES: usize = 128;

/// A frame says itself how much memory its decoder needs: 8 MiB is what [RFC 8878, section
/// 3.1.1.1.2](https://www.rfc-editor.org/rfc/rfc8878.html#section-3.1.1.1.2) recommends to support,
/// and what browsers do.
#[cfg(feature = "zstd")]
const MAX_WINDOW_LOG: u32 = 23;

/// The longest block, before and after decompression.
#[cfg(feature = "zstd")]
const BLOCK_BYTES: usize = 128 << 10;

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
        let budget = Budget::new(10 << 20);
        let mut other = budget.hold();
        other.resize(6 << 20).unwrap();
        for (compression, compress) in compressions() {
            let sent = compress(&[7; 5 << 20]);
            let failure = read(compression, 10 << 20, &budget, [&sent]).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Busy, "{compression:?}");
            assert_eq!(budget.used(), 6 << 20);
        }
    }

    #[test]
    fn what_a_decoder_takes_is_held_as_long_as_there_is_one() {
        for (compression, compress) in compressions() {
            let budget = Budget::new(10 << 20);
            let mut payload = Payload::new(compression, 1 << 20, budget.hold()).unwrap();
            let before = budget.used();
            assert_eq!(before > 0, compression != Compression::Identity);
            for piece in compress(&[7; 100_000]).chunks(100) {
                payload.push(piece).unwrap();
                assert!(budget.used() >= before + payload.len_bytes());
            }
            let (bytes, held) = payload.finish().unwrap();
            assert_eq!(bytes.len(), 100_000);
            assert!(
                (100_000..200_000).contains(&budget.used()),
                "{compression:?}"
            );
            drop(held);
            // One that there is no room for is not made.
            let budget = Budget::new(before.saturating_sub(1));
            let made = Payload::new(compression, 1 << 20, budget.hold());
            assert_eq!(made.is_err(), compression != Compression::Identity);
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn what_a_decoder_of_gzip_takes_is_no_more_than_what_is_held() {
        let sent = gzip(
            &(0..100_000u32)
                .flat_map(u32::to_le_bytes)
                .collect::<Vec<u8>>(),
        );
        let info = allocation_counter::measure(|| {
            let mut decoder = MultiGzDecoder::new(io::sink());
            decoder.write_all(&sent).unwrap();
            decoder.try_finish().unwrap();
        });
        let held = GZIP_BYTES as u64;
        assert!((held / 3..=held).contains(&info.bytes_max), "{info:?}");
    }

    /// The decoder keeps what came out last, as much as the frame says.
    #[cfg(feature = "zstd")]
    #[test]
    fn a_window_is_held_as_it_is_filled() {
        let mut encoder = zstd::stream::write::Encoder::new(vec![], 1).unwrap();
        encoder.window_log(23).unwrap();
        let block = vec![7; 1 << 20];
        for _ in 0..16 {
            encoder.write_all(&block).unwrap();
        }
        let sent = encoder.finish().unwrap();
        let budget = Budget::new(usize::MAX);
        let mut payload = Payload::new(Compression::Zstd, 64 << 20, budget.hold()).unwrap();
        let mut pieces = sent.chunks(ZSTD_PIECE_BYTES);
        payload.push(pieces.next().unwrap()).unwrap();
        let first = budget.used();
        for piece in pieces {
            payload.push(piece).unwrap();
            let window = payload.len_bytes().min(8 << 20);
            assert!(budget.used() >= payload.len_bytes() + window);
        }
        assert!(first < 8 << 20, "{first}");
        drop(payload);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_piece_is_never_inflated_to_what_takes_long() {
        for (compression, compress) in compressions() {
            let budget = Budget::new(usize::MAX);
            let sent = compress(&vec![0; 40 << 20]);
            let mut payload = Payload::new(compression, 40 << 20, budget.hold()).unwrap();
            if compression == Compression::Identity {
                assert_eq!(payload.piece_bytes(), usize::MAX);
                continue;
            }
            let mut before = 0;
            for piece in sent.chunks(payload.piece_bytes()) {
                payload.push(piece).unwrap();
                let more = payload.len_bytes() - before;
                assert!(more <= 5 << 20, "{compression:?} {more}");
                before += more;
            }
            assert_eq!(payload.finish().unwrap().0.len(), 40 << 20);
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
