//! Any spans: encoded to the bytes that `opentelemetry-proto` and prost make of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bolero::{TypeGenerator, ValueGenerator, produce};
use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prost::Message;
use towline_otlp::Batch;

#[test]
fn encoded_spans() {
    bolero::check!()
        .with_iterations(usize::MAX)
        .with_test_time(towline_fuzz::duration())
        .with_generator((few::<AnyAttribute>(), produce::<Text>(), few::<AnySpan>()))
        .for_each(|(attributes, schema_url, spans)| {
            let resource = Resource::builder_empty()
                .with_schema_url(finite(attributes), schema_url.make())
                .build();
            let spans: Vec<_> = spans.iter().map(AnySpan::make).collect();
            let batch = Batch::encode(&resource, &spans);
            assert_eq!(batch.spans(), spans.len());
            assert_eq!(Batch::parse(batch.bytes().clone()).as_ref(), Ok(&batch));
            if spans.is_empty() {
                assert!(batch.bytes().is_empty());
                return;
            }
            let resource = ResourceAttributesWithSchema::from(&resource);
            let resource_spans = group_spans_by_resource_and_scope(spans, &resource);
            let expected = ExportTraceServiceRequest { resource_spans };
            if *batch.bytes() != expected.encode_to_vec() {
                let found = ExportTraceServiceRequest::decode(batch.bytes().clone());
                panic!("found {found:#?}, expected {expected:#?}");
            }
        });
}

/// Where the order of things decides what is equal, NaN would make it depend on who asks.
fn finite(attributes: &[AnyAttribute]) -> Vec<KeyValue> {
    let attributes = attributes.iter().map(AnyAttribute::make);
    attributes
        .filter(|attribute| !attribute.value.as_str().contains("NaN"))
        .collect()
}

/// A few of them: long lists show nothing that short ones do not.
fn few<T: TypeGenerator>() -> impl ValueGenerator<Output = Vec<T>> {
    produce::<Vec<T>>().with().len(0usize..=3)
}

#[derive(Debug, TypeGenerator)]
struct AnySpan {
    context: Context,
    parent: u64,
    parent_is_remote: bool,
    kind: u8,
    name: Text,
    start: Time,
    end: Time,
    #[generator(few())]
    attributes: Vec<AnyAttribute>,
    #[generator(few())]
    events: Vec<AnyEvent>,
    #[generator(few())]
    links: Vec<AnyLink>,
    dropped: [u32; 3],
    status: Option<Option<Text>>,
    scope: AnyScope,
}

#[derive(Debug, TypeGenerator)]
struct AnyEvent {
    name: Text,
    time: Time,
    #[generator(few())]
    attributes: Vec<AnyAttribute>,
    dropped: u32,
}

#[derive(Debug, TypeGenerator)]
struct AnyLink {
    context: Context,
    #[generator(few())]
    attributes: Vec<AnyAttribute>,
    dropped: u32,
}

#[derive(Debug, TypeGenerator)]
struct AnyScope {
    name: Text,
    version: Option<Text>,
    schema_url: Option<Text>,
    #[generator(few())]
    attributes: Vec<AnyAttribute>,
}

#[derive(Debug, TypeGenerator)]
struct Context {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    is_remote: bool,
    #[generator(few())]
    trace_state: Vec<(u8, u8)>,
}

#[derive(Debug, TypeGenerator)]
enum Text {
    Empty,
    Any([char; 3]),
    /// Around the lengths where the length of the length grows.
    Long(u8),
    Longer(u8),
}

#[derive(Debug, TypeGenerator)]
enum Time {
    Since(Duration),
    Before(u32),
}

#[derive(Debug, TypeGenerator)]
struct AnyAttribute {
    key: Text,
    value: AnyValue,
}

#[derive(Debug, TypeGenerator)]
enum AnyValue {
    Bool(bool),
    I64(i64),
    F64(f64),
    String(Text),
    Bools(#[generator(few())] Vec<bool>),
    I64s(#[generator(few())] Vec<i64>),
    F64s(#[generator(few())] Vec<f64>),
    Strings(#[generator(few())] Vec<Text>),
}

impl AnySpan {
    fn make(&self) -> SpanData {
        let mut events = SpanEvents::default();
        events.dropped_count = self.dropped[1];
        events.events = self
            .events
            .iter()
            .map(|event| {
                let attributes = make(&event.attributes);
                Event::new(
                    event.name.make(),
                    event.time.make(),
                    attributes,
                    event.dropped,
                )
            })
            .collect();
        let mut links = SpanLinks::default();
        links.dropped_count = self.dropped[2];
        links.links = self
            .links
            .iter()
            .map(|link| Link::new(link.context.make(), make(&link.attributes), link.dropped))
            .collect();
        let mut scope = InstrumentationScope::builder(self.scope.name.make())
            .with_attributes(finite(&self.scope.attributes));
        if let Some(version) = &self.scope.version {
            scope = scope.with_version(version.make());
        }
        if let Some(schema_url) = &self.scope.schema_url {
            scope = scope.with_schema_url(schema_url.make());
        }
        SpanData {
            span_context: self.context.make(),
            parent_span_id: self.parent.into(),
            parent_span_is_remote: self.parent_is_remote,
            span_kind: match self.kind % 5 {
                0 => SpanKind::Internal,
                1 => SpanKind::Server,
                2 => SpanKind::Client,
                3 => SpanKind::Producer,
                _ => SpanKind::Consumer,
            },
            name: self.name.make().into(),
            start_time: self.start.make(),
            end_time: self.end.make(),
            attributes: make(&self.attributes),
            dropped_attributes_count: self.dropped[0],
            events,
            links,
            status: match &self.status {
                None => Status::Unset,
                Some(None) => Status::Ok,
                Some(Some(description)) => Status::error(description.make()),
            },
            instrumentation_scope: scope.build(),
        }
    }
}

impl Context {
    fn make(&self) -> SpanContext {
        let members = self
            .trace_state
            .iter()
            .map(|(key, value)| (format!("k{key}"), "v".repeat(usize::from(*value))));
        let trace_state = TraceState::from_key_value(members).expect("legal members");
        let flags = TraceFlags::new(self.flags);
        SpanContext::new(
            self.trace_id.into(),
            self.span_id.into(),
            flags,
            self.is_remote,
            trace_state,
        )
    }
}

impl Text {
    fn make(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Any(text) => text.iter().collect(),
            Self::Long(len) => "x".repeat(usize::from(*len)),
            Self::Longer(len) => "x".repeat(if *len == 0 { 16_384 } else { 400 }),
        }
    }
}

impl Time {
    fn make(&self) -> SystemTime {
        match self {
            Self::Since(time) => UNIX_EPOCH.checked_add(*time).unwrap_or(UNIX_EPOCH),
            Self::Before(seconds) => UNIX_EPOCH - Duration::from_secs((*seconds).into()),
        }
    }
}

impl AnyAttribute {
    fn make(&self) -> KeyValue {
        let texts = |texts: &[Text]| texts.iter().map(|text| text.make().into()).collect();
        let value = match &self.value {
            AnyValue::Bool(value) => Value::Bool(*value),
            AnyValue::I64(value) => Value::I64(*value),
            AnyValue::F64(value) => Value::F64(*value),
            AnyValue::String(value) => Value::from(value.make()),
            AnyValue::Bools(values) => Value::Array(Array::Bool(values.clone())),
            AnyValue::I64s(values) => Value::Array(Array::I64(values.clone())),
            AnyValue::F64s(values) => Value::Array(Array::F64(values.clone())),
            AnyValue::Strings(values) => Value::Array(Array::String(texts(values))),
        };
        KeyValue::new(self.key.make(), value)
    }
}

fn make(attributes: &[AnyAttribute]) -> Vec<KeyValue> {
    attributes.iter().map(AnyAttribute::make).collect()
}
