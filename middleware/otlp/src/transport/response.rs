//! What collectors answer, read by hand: two messages of a few fields.

use std::time::Duration;

use crate::Receipt;
use crate::wire::{Malformed, Payload, Reader};

/// Reads an [`ExportTraceServiceResponse`], as a decoder would: of a field that stands there twice,
/// the last counts.
///
/// [`ExportTraceServiceResponse`]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/collector/trace/v1/trace_service.proto
pub(super) fn receipt(response: &[u8]) -> Result<Receipt, Malformed> {
    let (mut rejected, mut message) = (0i64, String::new());
    for partial_success in Messages::new(response, 1) {
        for field in Reader::new(partial_success?) {
            match field.map(|field| (field.number, field.payload))? {
                (1, Payload::Varint(value)) => rejected = value as i64,
                (2, Payload::Len(text)) => message = text_of(text),
                _ => {}
            }
        }
    }
    // Nobody can refuse fewer spans than none.
    let rejected = usize::try_from(rejected).unwrap_or(0);
    Ok(Receipt::partial(rejected, message))
}

/// What of a [`google.rpc.Status`] is of use.
///
/// [`google.rpc.Status`]: https://github.com/googleapis/googleapis/blob/common-protos-1_3_1/google/rpc/status.proto
#[derive(Debug, Default, PartialEq)]
pub(super) struct RpcStatus {
    pub(super) message: String,
    /// Of the first `RetryInfo` among the details.
    pub(super) retry_after: Option<Duration>,
}

/// Reads a `google.rpc.Status`; what cannot be read is left out.
pub(super) fn rpc_status(status: &[u8]) -> RpcStatus {
    let mut read = RpcStatus::default();
    for field in Reader::new(status).map_while(Result::ok) {
        match (field.number, field.payload) {
            (2, Payload::Len(text)) => read.message = text_of(text),
            (3, Payload::Len(any)) => {
                read.retry_after = read.retry_after.or_else(|| retry_info(any))
            }
            _ => {}
        }
    }
    read
}

/// `RetryInfo { Duration retry_delay = 1 { seconds = 1, nanos = 2 } }` in an `Any { type_url = 1,
/// value = 2 }`.
fn retry_info(any: &[u8]) -> Option<Duration> {
    let (mut type_url, mut value) = (&b""[..], &b""[..]);
    for field in Reader::new(any) {
        match field.map(|field| (field.number, field.payload)).ok()? {
            (1, Payload::Len(bytes)) => type_url = bytes,
            (2, Payload::Len(bytes)) => value = bytes,
            _ => {}
        }
    }
    if !type_url.ends_with(b"/google.rpc.RetryInfo") {
        return None;
    }
    let (mut seconds, mut nanos) = (0i64, 0i32);
    for duration in Messages::new(value, 1) {
        for field in Reader::new(duration.ok()?) {
            match field.map(|field| (field.number, field.payload)).ok()? {
                (1, Payload::Varint(value)) => seconds = value as i64,
                (2, Payload::Varint(value)) => nanos = value as i32,
                _ => {}
            }
        }
    }
    // A delay in the past is none.
    Some(
        Duration::new(u64::try_from(seconds).unwrap_or(0), 0)
            .saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))),
    )
}

/// The payloads of one field that holds messages.
struct Messages<'a> {
    reader: Reader<'a>,
    field: u32,
}

impl<'a> Messages<'a> {
    const fn new(message: &'a [u8], field: u32) -> Self {
        Self {
            reader: Reader::new(message),
            field,
        }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.next()? {
                Err(malformed) => return Some(Err(malformed)),
                Ok(field) => match field.payload {
                    Payload::Len(payload) if field.number == self.field => {
                        return Some(Ok(payload));
                    }
                    _ => {}
                },
            }
        }
    }
}

/// Text for people, of bounded length.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

const MAX_TEXT_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_response_is_full_success() {
        assert_eq!(receipt(&[]), Ok(Receipt::accepted()));
        assert_eq!(receipt(&[0x0a, 0]), Ok(Receipt::accepted()));
    }

    #[test]
    fn reads_partial_success_as_a_decoder_would() {
        assert_eq!(
            receipt(&[0x0a, 5, 0x08, 7, 0x12, 1, b'x']),
            Ok(Receipt::partial(7, "x"))
        );
        // Merged: the count of the first, the text of the second.
        assert_eq!(
            receipt(&[0x0a, 5, 0x08, 7, 0x12, 1, b'x', 0x0a, 3, 0x12, 1, b'y']),
            Ok(Receipt::partial(7, "y"))
        );
        // Unknown fields, a negative count.
        let negative = [
            0x0a, 11, 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0x50, 1,
        ];
        assert_eq!(receipt(&negative), Ok(Receipt::accepted()));
        assert_eq!(receipt(&[0x0a, 9]), Err(Malformed::Truncated));
        assert_eq!(receipt(&[0x0a, 1, 0x08]), Err(Malformed::Truncated));
    }

    #[test]
    fn reads_message_and_retry_info_of_a_status() {
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let mut info = vec![0x0a, url.len() as u8];
        info.extend_from_slice(url);
        info.extend_from_slice(&[0x12, 7, 0x0a, 5, 0x08, 3, 0x10, 0xf4, 0x03]);
        let mut status = vec![
            0x08,
            14,
            0x12,
            2,
            b'n',
            b'o',
            0x1a,
            2,
            0x0a,
            0,
            0x1a,
            info.len() as u8,
        ];
        status.extend_from_slice(&info);
        let read = rpc_status(&status);
        assert_eq!(read.message, "no");
        assert_eq!(read.retry_after, Some(Duration::new(3, 500)));
    }

    #[test]
    fn garbage_is_no_status() {
        assert_eq!(rpc_status(b"<html>"), RpcStatus::default());
        assert_eq!(text_of(&[b'a'; 5000]).len(), MAX_TEXT_BYTES);
    }
}
