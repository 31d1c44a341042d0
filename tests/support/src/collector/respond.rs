//! Answers, in the protocol of their request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;

use super::Protocol;
use super::answer::{Answer, Outcome, Status, Success, grpc_status_of};
use super::body::AnswerBody;
use super::rpc::{RpcStatus, json_status};

/// What a success says, with so many spans rejected.
pub(super) fn success(
    answer: &Answer,
    success: &Success,
    protocol: Protocol,
    rejected: usize,
) -> Response<AnswerBody> {
    let rejected = success
        .claim
        .unwrap_or_else(|| i64::try_from(rejected).unwrap_or(i64::MAX));
    let message = &success.message;
    let is_partial = rejected != 0 || !message.is_empty();
    let body = answer.body.clone().unwrap_or_else(|| {
        if protocol == Protocol::HttpJson {
            let body = match is_partial {
                true => json!({ "partialSuccess": {
                    "rejectedSpans": rejected.to_string(),
                    "errorMessage": message,
                } }),
                false => json!({}),
            };
            return Bytes::from(body.to_string());
        }
        let partial_success = is_partial.then(|| ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: message.clone(),
        });
        Bytes::from(ExportTraceServiceResponse { partial_success }.encode_to_vec())
    });
    let body = match protocol {
        Protocol::Grpc => {
            let mut trailers = HeaderMap::new();
            trailers.insert(GRPC_STATUS, HeaderValue::from(0));
            AnswerBody::data(framed(&body)).trailers(trailers)
        }
        Protocol::HttpProtobuf | Protocol::HttpJson => AnswerBody::data(body),
    };
    response(answer, StatusCode::OK, content_type(protocol), body)
}

/// A status, by the way of the protocol or, where it is one of HTTP, to gRPC too.
pub(super) fn status(answer: &Answer, status: &Status, protocol: Protocol) -> Response<AnswerBody> {
    match status.grpc {
        Some(code) if protocol.is_grpc() => grpc_status(answer, status, code),
        _ => http_status(answer, status, protocol),
    }
}

/// A head and the first bytes of a body that announces more.
pub(super) fn beginning(answer: &Answer, protocol: Protocol) -> Response<AnswerBody> {
    // A field that is longer than what follows, in a message that is, too.
    let mut body = vec![0x0a, 0x7f, 0x12, 0x7d, b'c', b'u', b't'];
    if protocol.is_grpc() {
        body.splice(0..0, [0, 0, 0, 0, 0x81]);
    }
    let mut response = response(
        answer,
        StatusCode::OK,
        content_type(protocol),
        AnswerBody::data(body),
    );
    if !protocol.is_grpc() {
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0x81));
    }
    response
}

fn grpc_status(answer: &Answer, status: &Status, code: i32) -> Response<AnswerBody> {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from(code));
    if !status.message.is_empty() {
        trailers.insert("grpc-message", grpc_message(&status.message));
    }
    if answer.retry_info.is_some() {
        let details = RpcStatus::new(code, &status.message, answer.retry_info).encode_to_vec();
        let details = HeaderValue::try_from(STANDARD_NO_PAD.encode(details));
        trailers.insert("grpc-status-details-bin", details.expect("base64 is ASCII"));
    }
    let content_type = content_type(Protocol::Grpc);
    if status.in_trailers {
        let body = AnswerBody::default().trailers(trailers);
        return response(answer, StatusCode::OK, content_type, body);
    }
    let body = AnswerBody::default();
    let mut response = response(answer, StatusCode::OK, content_type, body);
    response.headers_mut().extend(trailers);
    response
}

fn http_status(answer: &Answer, status: &Status, protocol: Protocol) -> Response<AnswerBody> {
    let code = status.grpc.unwrap_or_else(|| grpc_status_of(status.http));
    let body = match (&answer.body, protocol) {
        (Some(body), _) => body.clone(),
        (None, Protocol::HttpJson) if code == 0 => Bytes::from_static(b"{}"),
        (None, _) if code == 0 => Bytes::new(),
        (None, Protocol::HttpJson) => {
            Bytes::from(json_status(code, &status.message, answer.retry_info).to_string())
        }
        (None, _) => {
            let status = RpcStatus::new(code, &status.message, answer.retry_info);
            Bytes::from(status.encode_to_vec())
        }
    };
    // To gRPC it is an answer from in between, which knows nothing of gRPC.
    let protocol = match protocol {
        Protocol::Grpc => Protocol::HttpProtobuf,
        other => other,
    };
    let http = StatusCode::from_u16(status.http).expect("checked by the constructor");
    response(answer, http, content_type(protocol), AnswerBody::data(body))
}

fn response(
    answer: &Answer,
    status: StatusCode,
    content_type: &'static str,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let is_grpc = content_type == self::content_type(Protocol::Grpc);
    if let Some(after) = answer.retry_after.as_ref().filter(|_| !is_grpc) {
        let after = HeaderValue::try_from(after).expect("a number or a date");
        headers.insert(RETRY_AFTER, after);
    }
    for (name, value) in &answer.headers {
        headers.insert(name, value.clone());
    }
    response
}

const fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "application/grpc",
        Protocol::HttpProtobuf => "application/x-protobuf",
        Protocol::HttpJson => "application/json",
    }
}

/// With the [prefix](https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#requests) of
/// a message that is not compressed.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message is shorter than 4 GiB"));
    framed.put_slice(message);
    framed.freeze()
}

/// Text as a [`grpc-message`](https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#responses).
fn grpc_message(text: &str) -> HeaderValue {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::try_from(escaped).expect("printable ASCII is legal")
}

/// Which outcomes have a response at all.
pub(super) fn of(
    answer: &Answer,
    protocol: Protocol,
    rejected: usize,
) -> Option<Response<AnswerBody>> {
    match &answer.outcome {
        Outcome::Success(outcome) => Some(success(answer, outcome, protocol, rejected)),
        Outcome::Status(outcome) => Some(status(answer, outcome, protocol)),
        Outcome::Hang | Outcome::Wire(_) => None,
    }
}

const GRPC_STATUS: &str = "grpc-status";
