//! The few messages of `google.rpc` that OTLP uses, in both forms.

use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};

/// [`google.rpc.Status`](https://github.com/googleapis/googleapis/blob/common-protos-1_3_1/google/rpc/status.proto).
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<RpcDuration>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcDuration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl RpcStatus {
    pub(super) fn new(code: i32, message: &str, retry_delay: Option<Duration>) -> Self {
        let details = retry_delay.map(|delay| Any {
            type_url: RETRY_INFO.to_owned(),
            value: RetryInfo {
                retry_delay: Some(RpcDuration {
                    seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                    nanos: delay.subsec_nanos().cast_signed(),
                }),
            }
            .encode_to_vec()
            .into(),
        });
        Self {
            code,
            message: message.to_owned(),
            details: details.into_iter().collect(),
        }
    }
}

/// The same in JSON, where a duration is text in seconds.
pub(super) fn json_status(code: i32, message: &str, retry_delay: Option<Duration>) -> Value {
    let details = retry_delay.map(|delay| {
        let delay = format!("{}.{:09}s", delay.as_secs(), delay.subsec_nanos());
        json!({ "@type": RETRY_INFO, "retryDelay": delay })
    });
    json!({ "code": code, "message": message, "details": Vec::from_iter(details) })
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
