//! Answers in HTTP, in the encoding of the request.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response};
use towline_otlp::Receipt;

use crate::ResponseBody;
use crate::failure::{Failure, FailureKind};
use crate::intake::Format;
use crate::limits::Compression;
use crate::status;

pub(super) fn respond(format: Format, result: Result<Receipt, Failure>) -> Response<ResponseBody> {
    let body = match (&result, format) {
        (Ok(receipt), Format::Protobuf) => status::encode_receipt(receipt),
        (Ok(receipt), Format::Json) => status::encode_receipt_json(receipt),
        (Err(failure), Format::Protobuf) => status::encode(failure),
        (Err(failure), Format::Json) => status::encode_json(failure),
    };
    let mut response = Response::new(ResponseBody::new(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(match format {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        }),
    );
    let Err(failure) = result else {
        return response;
    };
    if let Some(delay) = failure.retry_after() {
        // In whole seconds, and rather too long than too short.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(Ok(challenge)) = failure.challenge().map(HeaderValue::from_str) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    match failure.kind() {
        FailureKind::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        FailureKind::Encoding => {
            let accepted = HeaderValue::from_static(Compression::ACCEPTED);
            headers.insert(ACCEPT_ENCODING, accepted);
        }
        _ => {}
    }
    *response.status_mut() = failure.kind().http_status();
    response
}
