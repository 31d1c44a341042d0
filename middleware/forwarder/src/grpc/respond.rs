//! Answers in gRPC.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use towline_otlp::Receipt;

use super::frame::HEAD_BYTES;
use crate::ResponseBody;
use crate::failure::{Failure, FailureKind};
use crate::limits::Compression;
use crate::status;

pub(super) fn respond(result: Result<Receipt, Failure>) -> Response<ResponseBody> {
    match result {
        Ok(receipt) => success(&receipt),
        // Who does not speak gRPC is told in HTTP.
        Err(failure) if is_http(failure.kind()) => http_failure(&failure),
        Err(failure) => trailers_only(&failure),
    }
}

fn success(receipt: &Receipt) -> Response<ResponseBody> {
    let message = status::encode_receipt(receipt);
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + message.len());
    frame.put_u8(0);
    // A message of the backend's is cut long before it has 4 GiB.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(0));
    frame.put_slice(&message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = ResponseBody::new(frame.freeze()).with_trailers(trailers);
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// The status in the head, and no body.
fn trailers_only(failure: &Failure) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(GRPC_STATUS, (failure.kind().code() as u16).into());
    let message = utf8_percent_encode(failure.message(), &MESSAGE).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    let details = STANDARD_NO_PAD.encode(status::encode(failure));
    if let Ok(details) = HeaderValue::try_from(details) {
        headers.insert(GRPC_STATUS_DETAILS, details);
    }
    if failure.kind() == FailureKind::Encoding {
        let accepted = HeaderValue::from_static(Compression::ACCEPTED);
        headers.insert(GRPC_ACCEPT_ENCODING, accepted);
    }
    response
}

/// What is not a gRPC call has a [status of HTTP's].
///
/// [status of HTTP's]: https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md
fn http_failure(failure: &Failure) -> Response<ResponseBody> {
    let message = Bytes::copy_from_slice(failure.message().as_bytes());
    let mut response = Response::new(ResponseBody::new(message));
    *response.status_mut() = failure.kind().http_status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if failure.kind() == FailureKind::Method {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

const fn is_http(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Method | FailureKind::MediaType)
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What `grpc-message` cannot have as it is: all but printable ASCII, and `%`.
const MESSAGE: AsciiSet = CONTROLS.add(b'%');
