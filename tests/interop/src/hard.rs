//! Spans that are as difficult as OTLP lets them be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// All of the spans, each with an id of its own.
#[must_use]
pub fn spans() -> Vec<SpanData> {
    let mut numbers = 1..;
    let mut next = || span(numbers.next().expect("there is always another number"));
    let mut spans = Vec::new();

    for kind in [
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ] {
        spans.push(SpanData {
            span_kind: kind,
            ..next()
        });
    }
    for status in [
        Status::Unset,
        Status::Ok,
        Status::error(""),
        Status::error("zurückgewiesen: 拒否 \u{1f6d1} \"quoted\"\n\tindented\\"),
    ] {
        spans.push(SpanData { status, ..next() });
    }
    for name in texts() {
        spans.push(SpanData {
            name: name.into(),
            ..next()
        });
    }
    for scope in scopes() {
        // Two of each, with those of others in between.
        for _ in 0..2 {
            spans.push(SpanData {
                instrumentation_scope: scope.clone(),
                ..next()
            });
        }
    }
    spans.push(SpanData {
        attributes: attributes(),
        ..next()
    });
    spans.push(SpanData {
        attributes: many_attributes(),
        dropped_attributes_count: u32::MAX,
        ..next()
    });
    spans.push(identified(next()));
    spans.push(eventful(next()));
    spans.push(linked(next()));
    spans.push(timeless(next()));
    spans.push(longest(next()));
    // After the large one, which is a batch of its own.
    spans.push(next());
    spans
}

/// A span with one attribute of 1 MiB.
#[must_use]
pub fn large() -> SpanData {
    SpanData {
        attributes: vec![KeyValue::new("large", "Größe ".repeat(LARGE_BYTES / 8))],
        name: "large".into(),
        ..span(0xffff_ffff)
    }
}

/// Spans with nothing special but their number.
#[must_use]
pub fn plain(count: u64) -> Vec<SpanData> {
    (1..=count).map(span).collect()
}

/// A resource with every kind of attribute, and many of them.
#[must_use]
pub fn resource() -> Resource {
    Resource::builder_empty()
        .with_schema_url(
            [KeyValue::new("service.name", "interop \u{1f517}")],
            "https://opentelemetry.io/schemas/1.37.0",
        )
        .with_attributes(attributes())
        .with_attributes(many_attributes())
        .build()
}

/// The scopes: named and unnamed, with versions, attributes and schema URLs, and some that differ
/// in one of these only.
#[must_use]
pub fn scopes() -> Vec<InstrumentationScope> {
    let scope = || InstrumentationScope::builder("scope");
    vec![
        InstrumentationScope::default(),
        scope().build(),
        scope().with_version("1.2.3-rc.1+\u{e4}").build(),
        scope().with_schema_url("https://example.com/1.0").build(),
        scope().with_schema_url("https://example.com/2.0").build(),
        scope().with_attributes([KeyValue::new("tier", 1)]).build(),
        scope().with_attributes([KeyValue::new("tier", 2)]).build(),
        InstrumentationScope::builder("\u{7bc4}\u{56f2}")
            .with_version("2")
            .with_schema_url("https://example.com/2.0")
            .with_attributes(attributes())
            .build(),
    ]
}

/// Every kind of value, at its ends and in between.
#[must_use]
pub fn attributes() -> Vec<KeyValue> {
    let mut values = Vec::new();
    values.extend([false, true].map(Value::Bool));
    values.extend(INTEGERS.map(Value::I64));
    values.extend(DOUBLES.map(Value::F64));
    values.extend(texts().into_iter().map(Value::from));
    values.extend(
        [
            Array::Bool(vec![]),
            Array::Bool(vec![true, false]),
            Array::I64(vec![]),
            Array::I64(INTEGERS.to_vec()),
            Array::F64(vec![]),
            Array::F64(DOUBLES.to_vec()),
            Array::String(vec![]),
            Array::String(texts().into_iter().map(StringValue::from).collect()),
        ]
        .map(Value::Array),
    );
    let mut attributes: Vec<_> = values
        .into_iter()
        .enumerate()
        .map(|(index, value)| KeyValue::new(format!("value.{index:03}"), value))
        .collect();
    attributes.push(KeyValue::new("\u{30ad}\u{30fc} with \"quotes\"", "unicode"));
    attributes
}

/// More than most SDKs allow.
fn many_attributes() -> Vec<KeyValue> {
    (0..300)
        .map(|index| KeyValue::new(format!("many.{index:03}"), index))
        .collect()
}

/// Empty, in many scripts, with what JSON and protobuf must escape or measure.
fn texts() -> Vec<String> {
    vec![
        String::new(),
        " ".to_owned(),
        "GET /users/{id}".to_owned(),
        "Stra\u{df}e \u{3a9} \u{65e5}\u{672c} \u{5e9}\u{5dc}\u{5d5}\u{5dd} e\u{301}".to_owned(),
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{10ffff} \u{fffd} \u{feff} \u{2028}"
            .to_owned(),
        "\"quoted\" \\back\\slashed\\ </script> \u{7f}".to_owned(),
        (0u8..0x20).map(char::from).collect(),
        // Around the lengths where that of a length grows.
        "x".repeat(127),
        "x".repeat(128),
        "y".repeat(16_384),
    ]
}

/// With everything that says who it is: parent, trace state, flags.
fn identified(span: SpanData) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(u128::MAX),
            span.span_context.span_id(),
            TraceFlags::new(0x03),
            false,
            trace_state(32),
        ),
        parent_span_id: SpanId::from(u64::MAX),
        parent_span_is_remote: true,
        ..span
    }
}

fn eventful(span: SpanData) -> SpanData {
    let mut events = SpanEvents::default();
    events.events = texts()
        .into_iter()
        .enumerate()
        .map(|(index, text)| Event::new(text, time(index as u64), vec![], 0))
        .collect();
    events
        .events
        .push(Event::new("exception", time(999_999_999), attributes(), 7));
    events.dropped_count = 3;
    SpanData { events, ..span }
}

fn linked(span: SpanData) -> SpanData {
    let context = |number: u64, flags, remote, state| {
        SpanContext::new(
            TraceId::from(u128::from(number) << 64),
            SpanId::from(number),
            TraceFlags::new(flags),
            remote,
            state,
        )
    };
    let mut links = SpanLinks::default();
    links.links = vec![
        Link::new(context(1, 1, true, trace_state(2)), attributes(), 5),
        Link::new(context(2, 0, false, TraceState::NONE), vec![], 0),
        Link::new(context(3, 3, true, TraceState::NONE), vec![], u32::MAX),
    ];
    links.dropped_count = u32::MAX;
    SpanData { links, ..span }
}

/// That began in 1970 and ended before it began.
fn timeless(span: SpanData) -> SpanData {
    SpanData {
        start_time: UNIX_EPOCH + Duration::from_nanos(1),
        end_time: UNIX_EPOCH,
        ..span
    }
}

/// That ends as late as OTLP can say.
fn longest(span: SpanData) -> SpanData {
    SpanData {
        end_time: UNIX_EPOCH + Duration::from_nanos(u64::MAX),
        ..span
    }
}

/// A plain span.
fn span(number: u64) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(number),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: format!("span {number}").into(),
        start_time: time(number),
        end_time: time(number + 1_000_000),
        attributes: vec![KeyValue::new(
            "number",
            i64::try_from(number).expect("a small number"),
        )],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

/// Some nanoseconds after a moment whose count of them no double holds exactly.
fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789) + Duration::from_nanos(nanos)
}

fn trace_state(members: usize) -> TraceState {
    let members = (0..members).map(|index| (format!("vendor{index}"), format!("v:{index}/~ !")));
    TraceState::from_key_value(members).expect("legal members")
}

const LARGE_BYTES: usize = 1024 * 1024;

const INTEGERS: [i64; 9] = [
    0,
    1,
    -1,
    127,
    128,
    // The first that a double does not hold.
    (1 << 53) + 1,
    i64::from_be_bytes([0x80, 0, 0, 0, 0, 0, 0, 1]),
    i64::MIN,
    i64::MAX,
];

const DOUBLES: [f64; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e21,
    f64::MIN_POSITIVE,
    // The smallest subnormal.
    f64::from_bits(1),
    f64::MAX,
    f64::MIN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];
