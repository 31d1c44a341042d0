//! What a crash leaves at the end of a file, and how it is removed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::record::PREFIX_BYTES;
use crate::FileFormat;

/// Removes the record that a crash has left unfinished, if there is one; gives the length of the
/// rest.
///
/// A file that does not look as if this format had been written into it is left as it is.
pub(super) fn mend(format: FileFormat, mut file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let whole = match format {
        FileFormat::Json | FileFormat::Teleport => whole_lines(&mut file, len)?,
        FileFormat::Proto => whole_messages(&mut file, len)?,
    };
    if whole < len {
        file.set_len(whole)?;
    }
    Ok(whole)
}

/// The bytes up to the last newline.
fn whole_lines(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut chunk = [0; CHUNK_BYTES];
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        file.seek(SeekFrom::Start(start))?;
        let part = chunk.get_mut(..(end - start) as usize).unwrap_or_default();
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The bytes up to the end of the last whole message behind its length.
///
/// Of each message the lengths of its `resource_spans` are read as well: they must fill it. What
/// follows a length that came from elsewhere is most unlikely to do that, and is not cut off.
fn whole_messages(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut walk = Walk {
        reader: BufReader::new(file),
        at: 0,
        len,
    };
    let mut whole = 0;
    while walk.message()? {
        whole = walk.at;
    }
    Ok(whole)
}

/// The way through a file from length to length.
struct Walk<R> {
    reader: BufReader<R>,
    at: u64,
    len: u64,
}

// === impl Walk ===

impl<R: Read + Seek> Walk<R> {
    /// Goes to the end of the next message; `false` where the file ends before.
    fn message(&mut self) -> io::Result<bool> {
        let mut prefix = [0; PREFIX_BYTES];
        for byte in &mut prefix {
            let Some(next) = self.byte()? else {
                return Ok(false);
            };
            *byte = next;
        }
        let end = self.at + u64::from(u32::from_be_bytes(prefix));
        while self.at < end {
            match self.byte()? {
                None => return Ok(false),
                Some(RESOURCE_SPANS_KEY) => {}
                Some(_) => return Err(foreign()),
            }
            let Some(len) = self.varint()? else {
                return Ok(false);
            };
            if end.checked_sub(self.at).is_none_or(|rest| len > rest) {
                return Err(foreign());
            }
            if len > self.len.saturating_sub(self.at) {
                return Ok(false);
            }
            self.reader
                .seek_relative(i64::try_from(len).map_err(|_| foreign())?)?;
            self.at += len;
        }
        Ok(true)
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        if self.at >= self.len {
            return Ok(None);
        }
        let mut byte = [0];
        self.reader.read_exact(&mut byte)?;
        self.at += 1;
        let [byte] = byte;
        Ok(Some(byte))
    }

    fn varint(&mut self) -> io::Result<Option<u64>> {
        let mut value = 0;
        for index in 0..MAX_LEN_LEN {
            let Some(byte) = self.byte()? else {
                return Ok(None);
            };
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(Some(value));
            }
        }
        Err(foreign())
    }
}

fn foreign() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "not a file of length-prefixed OTLP messages",
    )
}

/// How much is read at a time on the way back from the end.
const CHUNK_BYTES: usize = 4096;

/// `resource_spans`, the only field of a `TracesData`: number 1, length-delimited.
const RESOURCE_SPANS_KEY: u8 = 0x0a;

/// The bytes that a length takes as a varint: messages end at 2 GiB.
const MAX_LEN_LEN: u32 = 5;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[track_caller]
    fn lines(bytes: &[u8], expected: u64) {
        let found = whole_lines(&mut Cursor::new(bytes), bytes.len() as u64);
        assert_eq!(found.unwrap(), expected);
    }

    fn messages(bytes: &[u8]) -> Option<u64> {
        whole_messages(&mut Cursor::new(bytes), bytes.len() as u64).ok()
    }

    #[test]
    fn lines_end_at_the_last_newline() {
        lines(b"", 0);
        lines(b"torn", 0);
        lines(b"whole\n", 6);
        lines(b"whole\ntorn", 6);
        lines(&[b'x'; 3 * CHUNK_BYTES], 0);
        let long = [&b"whole\n"[..], &[b'x'; 2 * CHUNK_BYTES]].concat();
        lines(&long, 6);
        // A newline as the first or the last byte of what is read at once.
        for before in [CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let line = [&vec![b'x'; before][..], b"\n", &vec![b'y'; CHUNK_BYTES - 1]].concat();
            lines(&line, before as u64 + 1);
        }
    }

    #[test]
    fn messages_end_where_the_lengths_say() {
        let two = b"\0\0\0\x04\x0a\x02\x12\0\0\0\0\0";
        assert_eq!(messages(b""), Some(0));
        assert_eq!(messages(two), Some(12));
        // Torn at every byte.
        for len in 0..two.len() {
            let whole = if len < 8 { 0 } else { 8 };
            assert_eq!(messages(&two[..len]), Some(whole), "{len}");
        }
        // Two resources, one of them with a length of two bytes.
        let long = [
            &b"\0\0\0\x87\x0a\0\x0a\x82\x01"[..],
            &[7; 130],
            b"\0\0\0\x02\x0a",
        ]
        .concat();
        assert_eq!(messages(&long), Some(139));
    }

    #[test]
    fn what_is_not_such_a_file_is_left_alone() {
        for bytes in [
            &b"{\"resourceSpans\":[]}\n"[..],
            b"\0\0\0\x02\x12\0",                           // another field
            b"\0\0\0\x03\x0a\x02\0",                       // a field longer than its message
            b"\0\0\0\x02\x0a\x80\0", // a length that goes on behind the message
            b"\0\0\0\x20\x0a\xff\xff\xff\xff\xff\x01", // a length that does not end
            b"\0\0\0\x20\x0a\xff\xff\xff\xff\x7f", // a length beyond the message
            b"\0\0\0\x02\x0a\0\xff\xff\xff\xff\x08\x01\0", // garbage behind a message
        ] {
            assert_eq!(messages(bytes), None, "{bytes:?}");
        }
    }
}
