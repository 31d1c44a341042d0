//! A span as the SDK hands it over when it ends.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// That of an HTTP server, with all of its 13 attributes.
#[must_use]
pub fn span() -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(0x00f0_67aa_0ba9_02b7),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::from(0xb7ad_6b71_6920_3331),
        parent_span_is_remote: true,
        span_kind: SpanKind::Server,
        name: "GET /users/{id}".into(),
        start_time: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
        end_time: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_234_567_891),
        attributes: vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("url.path", "/users/42".to_owned()),
            KeyValue::new("url.query", "q=abc".to_owned()),
            KeyValue::new("http.route", "/users/{id}"),
            KeyValue::new("server.address", "users.example".to_owned()),
            KeyValue::new("server.port", 8080),
            KeyValue::new("client.address", "198.51.100.7".to_owned()),
            KeyValue::new("network.peer.address", "198.51.100.7".to_owned()),
            KeyValue::new("network.peer.port", 54321),
            KeyValue::new("network.protocol.version", "1.1"),
            KeyValue::new("user_agent.original", "curl/8.7.1".to_owned()),
            KeyValue::new("http.response.status_code", 200),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("towline-http")
            .with_version("0.1.0")
            .build(),
    }
}
