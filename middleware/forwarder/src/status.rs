//! `google.rpc.Status`, in which OTLP says what went wrong, and the answer to what went right.
//!
//! Written by hand: three messages of a few fields. [`Status`] and [`ExportTraceServiceResponse`].
//!
//! [`Status`]: https://github.com/googleapis/googleapis/blob/common-protos-1_3_1/google/rpc/status.proto
//! [`ExportTraceServiceResponse`]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/collector/trace/v1/trace_service.proto

use serde_json::{Value, json};
use towline_otlp::Receipt;
use towline_otlp::wire::{put_key, put_len, put_varint, wire_type};

use crate::failure::Failure;

/// The [status codes of gRPC](https://github.com/grpc/grpc/blob/v1.76.0/doc/statuscodes.md) that are
/// answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// A `Status` in binary protobuf.
pub(crate) fn encode(failure: &Failure) -> Vec<u8> {
    let mut out = vec![];
    put_uint(&mut out, 1, failure.kind().code() as u64);
    put_text(&mut out, 2, failure.message());
    if let Some(delay) = failure.retry_after() {
        let mut duration = vec![];
        put_uint(&mut duration, 1, delay.as_secs());
        put_uint(&mut duration, 2, u64::from(delay.subsec_nanos()));
        let mut any = vec![];
        put_text(&mut any, 1, RETRY_INFO);
        put_bytes(&mut any, 2, &field(1, &duration));
        put_bytes(&mut out, 3, &any);
    }
    out
}

/// A `Status` in protobuf's JSON.
pub(crate) fn encode_json(failure: &Failure) -> Vec<u8> {
    let mut status = json!({
        "code": failure.kind().code() as i32,
        "message": failure.message(),
    });
    if let (Some(delay), Value::Object(status)) = (failure.retry_after(), &mut status) {
        let delay = match delay.subsec_nanos() {
            0 => format!("{}s", delay.as_secs()),
            nanos => format!("{}.{nanos:09}s", delay.as_secs()),
        };
        let details = json!([{ "@type": RETRY_INFO, "retryDelay": delay }]);
        status.insert("details".to_owned(), details);
    }
    status.to_string().into_bytes()
}

/// An `ExportTraceServiceResponse` in binary protobuf: empty, unless there is something to say.
pub(crate) fn encode_receipt(receipt: &Receipt) -> Vec<u8> {
    let mut partial = vec![];
    put_uint(&mut partial, 1, receipt.rejected_spans() as u64);
    put_text(&mut partial, 2, receipt.message().unwrap_or_default());
    match partial.is_empty() {
        true => partial,
        false => field(1, &partial),
    }
}

/// An `ExportTraceServiceResponse` in protobuf's JSON, where 64 bits are a string.
pub(crate) fn encode_receipt_json(receipt: &Receipt) -> Vec<u8> {
    let mut partial = serde_json::Map::new();
    if receipt.rejected_spans() > 0 {
        let rejected = receipt.rejected_spans().to_string();
        partial.insert("rejectedSpans".to_owned(), rejected.into());
    }
    if let Some(message) = receipt.message() {
        partial.insert("errorMessage".to_owned(), message.into());
    }
    match partial.is_empty() {
        true => b"{}".to_vec(),
        false => json!({ "partialSuccess": partial })
            .to_string()
            .into_bytes(),
    }
}

fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    put_bytes(&mut out, number, payload);
    out
}

fn put_bytes(out: &mut Vec<u8>, field: u32, payload: &[u8]) {
    put_len(out, field, payload.len());
    out.extend_from_slice(payload);
}

/// What is empty or zero is not written.
fn put_text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

fn put_uint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        put_key(out, field, wire_type::VARINT);
        put_varint(out, value);
    }
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    use super::*;
    use crate::failure::FailureKind;

    /// `google.rpc.Status` and what it holds, as googleapis has them.
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes, tag = "2")]
        value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<PbDuration>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct PbDuration {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    #[test]
    fn a_status_is_read_by_a_decoder() {
        let failure = Failure::new(FailureKind::Busy, "later \"please\"")
            .with_retry_after(Duration::new(3, 500_000_000));
        let status = Status::decode(&encode(&failure)[..]).unwrap();
        assert_eq!(
            (status.code, status.message.as_str()),
            (14, "later \"please\"")
        );
        assert_eq!(status.details.len(), 1);
        assert_eq!(status.details[0].type_url, RETRY_INFO);
        let info = RetryInfo::decode(&status.details[0].value[..]).unwrap();
        let delay = info.retry_delay.unwrap();
        assert_eq!((delay.seconds, delay.nanos), (3, 500_000_000));

        let json: Value = serde_json::from_slice(&encode_json(&failure)).unwrap();
        assert_eq!(
            json,
            json!({
                "code": 14,
                "message": "later \"please\"",
                "details": [{ "@type": RETRY_INFO, "retryDelay": "3.500000000s" }],
            })
        );
    }

    #[test]
    fn without_a_delay_there_are_no_details() {
        let failure = Failure::too_large(5);
        let status = Status::decode(&encode(&failure)[..]).unwrap();
        assert_eq!((status.code, status.details.len()), (8, 0));
        let json: Value = serde_json::from_slice(&encode_json(&failure)).unwrap();
        assert_eq!(json.get("details"), None);
    }

    #[test]
    fn full_success_leaves_partial_success_unset() {
        let receipt = Receipt::accepted();
        assert!(encode_receipt(&receipt).is_empty());
        assert_eq!(encode_receipt_json(&receipt), b"{}");
    }

    #[test]
    fn partial_success_is_read_by_a_decoder() {
        for (rejected, message) in [(3, "no"), (1, ""), (0, "a warning")] {
            let receipt = Receipt::partial(rejected, message);
            let read = ExportTraceServiceResponse::decode(&encode_receipt(&receipt)[..]).unwrap();
            let partial = read.partial_success.unwrap();
            assert_eq!(partial.rejected_spans, rejected as i64);
            assert_eq!(partial.error_message, message);
        }
        for (rejected, message, expected) in [
            (
                3,
                "no",
                json!({ "rejectedSpans": "3", "errorMessage": "no" }),
            ),
            (1, "", json!({ "rejectedSpans": "1" })),
            (
                0,
                "a \"warning\"",
                json!({ "errorMessage": "a \"warning\"" }),
            ),
        ] {
            let json = encode_receipt_json(&Receipt::partial(rejected, message));
            let read: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(read, json!({ "partialSuccess": expected }));
        }
    }
}
