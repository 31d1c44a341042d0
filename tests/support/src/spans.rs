use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// A sampled server span of a few hundred bytes in OTLP, told from others by its number: that is
/// its span id, and its trace id ends in it.
///
/// All else is the same in every one. [`number_of`] gives the number back.
///
/// ```
/// use towline_test_support::{number_of, numbered_span};
///
/// let span = numbered_span(7);
/// assert!(span.span_context.is_sampled());
/// assert_eq!(number_of(span.span_context.span_id()), 7);
/// assert_ne!(span.span_context.trace_id(), numbered_span(8).span_context.trace_id());
/// ```
///
/// # Panics
///
/// If `number` is 0, which is [no valid span id].
///
/// [no valid span id]: https://www.w3.org/TR/trace-context-2/#parent-id
#[must_use]
#[track_caller]
pub fn numbered_span(number: u64) -> SpanData {
    assert_ne!(number, 0, "a span id of zeros is not valid: count from 1");
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(TRACE_ID_START | u128::from(number)),
            SpanId::from(number),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Server,
        name: "GET /users/{id}".into(),
        start_time: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        end_time: UNIX_EPOCH + Duration::from_secs(1_700_000_001),
        attributes: vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", "/users/{id}"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("url.path", "/users/42"),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("towline-http").build(),
    }
}

/// The number that [`numbered_span`] gave to the span with this id.
#[must_use]
pub fn number_of(span_id: SpanId) -> u64 {
    u64::from_be_bytes(span_id.to_bytes())
}

const TRACE_ID_START: u128 = 0x0af7_6519_16cd_43dd << 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for number in [1, 255, 256, u64::from(u32::MAX) + 1, u64::MAX] {
            let context = numbered_span(number).span_context;
            assert!(context.is_valid());
            assert_eq!(number_of(context.span_id()), number);
        }
    }

    #[test]
    #[should_panic(expected = "count from 1")]
    fn there_is_no_span_number_0() {
        let _ = numbered_span(0);
    }
}
