//! Spans: plain ones, and made up by proptest in every shape that the SDK can hand over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;

/// A sampled span of a few hundred bytes, told from others by its number.
pub fn span(number: u64) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(number + 1),
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
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("url.path", "/users/42"),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("towline-http")
            .with_version("1")
            .build(),
    }
}

/// The number that [`span`] gave to the span with these id bytes.
pub fn number(span_id: &[u8]) -> u64 {
    u64::from_be_bytes(span_id.try_into().expect("eight bytes")) - 1
}

/// Any span, sampled or not.
pub fn any_span() -> impl Strategy<Value = SpanData> {
    let identity = (
        any_context(),
        prop_oneof![Just(0), any::<u64>()],
        any::<bool>(),
        any_kind(),
        any_text(),
    );
    let times = (any_time(), any_time());
    let content = (
        vec(any_attribute(), 0..12),
        any_count(),
        vec(any_event(), 0..4),
        any_count(),
        vec(any_link(), 0..4),
        any_count(),
    );
    (identity, times, content, any_status(), any_scope()).prop_map(
        |(
            (span_context, parent, parent_span_is_remote, span_kind, name),
            (start_time, end_time),
            content,
            status,
            scope,
        )| {
            let (
                attributes,
                dropped_attributes_count,
                event_list,
                dropped_events,
                link_list,
                dropped_links,
            ) = content;
            let mut events = SpanEvents::default();
            events.events = event_list;
            events.dropped_count = dropped_events;
            let mut links = SpanLinks::default();
            links.links = link_list;
            links.dropped_count = dropped_links;
            SpanData {
                span_context,
                parent_span_id: SpanId::from(parent),
                parent_span_is_remote,
                span_kind,
                name: name.into(),
                start_time,
                end_time,
                attributes,
                dropped_attributes_count,
                events,
                links,
                status,
                instrumentation_scope: scope,
            }
        },
    )
}

/// The same span, sampled.
pub fn sampled(mut span: SpanData) -> SpanData {
    let context = &span.span_context;
    span.span_context = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags() | TraceFlags::SAMPLED,
        context.is_remote(),
        context.trace_state().clone(),
    );
    span
}

pub fn any_resource() -> impl Strategy<Value = Resource> {
    (
        vec(any_attribute(), 0..6),
        prop_oneof![Just(String::new()), any_text()],
    )
        .prop_map(|(attributes, url)| {
            if url.is_empty() {
                Resource::builder_empty()
                    .with_attributes(attributes)
                    .build()
            } else {
                Resource::builder_empty()
                    .with_schema_url(attributes, url)
                    .build()
            }
        })
}

fn any_context() -> impl Strategy<Value = SpanContext> {
    (
        any::<u128>(),
        any::<u64>(),
        any::<u8>(),
        any::<bool>(),
        any_trace_state(),
    )
        .prop_map(|(trace_id, span_id, flags, is_remote, trace_state)| {
            SpanContext::new(
                trace_id.into(),
                span_id.into(),
                TraceFlags::new(flags),
                is_remote,
                trace_state,
            )
        })
}

fn any_trace_state() -> impl Strategy<Value = TraceState> {
    prop_oneof![
        2 => Just(TraceState::NONE),
        1 => vec(("[a-z][a-z0-9_]{0,10}", "[!-+--<>-~]{0,20}"), 0..5)
            .prop_map(|members| TraceState::from_key_value(members).expect("legal members")),
    ]
}

fn any_kind() -> impl Strategy<Value = SpanKind> {
    prop_oneof![
        Just(SpanKind::Internal),
        Just(SpanKind::Server),
        Just(SpanKind::Client),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
    ]
}

pub fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        any_text().prop_map(Status::error)
    ]
}

/// Before 1970, at it, around now, and where nanoseconds overflow.
pub fn any_time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        Just(UNIX_EPOCH),
        Just(UNIX_EPOCH - Duration::from_secs(1)),
        any::<u64>().prop_map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos)),
        (18_446_744_000u64..20_000_000_000)
            .prop_map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
    ]
}

fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => any::<u32>()]
}

pub fn any_event() -> impl Strategy<Value = Event> {
    (
        any_text(),
        any_time(),
        vec(any_attribute(), 0..4),
        any_count(),
    )
        .prop_map(|(name, time, attributes, dropped)| Event::new(name, time, attributes, dropped))
}

pub fn any_link() -> impl Strategy<Value = Link> {
    (any_context(), vec(any_attribute(), 0..4), any_count())
        .prop_map(|(context, attributes, dropped)| Link::new(context, attributes, dropped))
}

/// Few, so that spans share them; the last two are the same by the API's reckoning.
fn any_scope() -> impl Strategy<Value = InstrumentationScope> {
    let (a, b) = (KeyValue::new("a", 1), KeyValue::new("b", "x"));
    let scope = || InstrumentationScope::builder("scope");
    proptest::sample::select(vec![
        InstrumentationScope::default(),
        scope().build(),
        scope().with_version("").build(),
        scope().with_version("1.2.3").build(),
        scope()
            .with_schema_url("https://example.com/schema")
            .build(),
        scope().with_schema_url("").build(),
        scope().with_attributes([a.clone()]).build(),
        scope().with_attributes([a.clone(), b.clone()]).build(),
        scope().with_attributes([b, a]).build(),
    ])
}

pub fn any_attribute() -> impl Strategy<Value = KeyValue> {
    (any_text(), any_value()).prop_map(|(key, value)| KeyValue::new(key, value))
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any_int().prop_map(Value::I64),
        any_float().prop_map(Value::F64),
        any_text().prop_map(Value::from),
        vec(any::<bool>(), 0..5).prop_map(|values| Value::Array(Array::Bool(values))),
        vec(any_int(), 0..5).prop_map(|values| Value::Array(Array::I64(values))),
        vec(any_float(), 0..5).prop_map(|values| Value::Array(Array::F64(values))),
        vec(any_text().prop_map(StringValue::from), 0..5)
            .prop_map(|values| Value::Array(Array::String(values))),
    ]
}

fn any_int() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0),
        Just(-1),
        Just(i64::MIN),
        Just(i64::MAX),
        any::<i64>(),
        0i64..300
    ]
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        any::<f64>()
    ]
}

/// Empty, short, of any characters, and around the lengths where a varint grows.
pub fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        6 => "[a-z._]{1,20}",
        2 => "\\PC{0,20}",
        1 => (120usize..135).prop_map(|len| "x".repeat(len)),
        1 => (16_375usize..16_390).prop_map(|len| "y".repeat(len)),
    ]
}
