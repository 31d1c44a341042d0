use std::fmt::{self, Write as _};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::printable::Printable;

/// The lines of every span of a request.
pub(super) fn text(request: &ExportTraceServiceRequest) -> String {
    let mut out = String::new();
    for resource_spans in &request.resource_spans {
        let service = resource_spans
            .resource
            .iter()
            .flat_map(|resource| &resource.attributes)
            .find(|attribute| attribute.key == "service.name");
        let scopes = resource_spans.scope_spans.iter();
        for span in scopes.flat_map(|scope| &scope.spans) {
            // A string takes whatever is written.
            let _ = put_span(&mut out, service, span);
        }
    }
    out
}

fn put_span(out: &mut String, service: Option<&KeyValue>, span: &Span) -> fmt::Result {
    let start = span.start_time_unix_nano;
    let took = Duration::from_nanos(span.end_time_unix_nano.saturating_sub(start));
    write!(
        out,
        "{} {took:?} {} {}",
        Time(start),
        kind(span.kind()),
        Printable::new(&span.name)
    )?;
    put_status(out, span.status.as_ref())?;
    if let Some(service) = service {
        write!(out, " {}", Attribute(service))?;
    }
    write!(
        out,
        " trace_id={} span_id={}",
        Hex(&span.trace_id),
        Hex(&span.span_id)
    )?;
    if !span.parent_span_id.is_empty() {
        write!(out, " parent_span_id={}", Hex(&span.parent_span_id))?;
    }
    if !span.trace_state.is_empty() {
        write!(out, " trace_state={}", Printable::new(&span.trace_state))?;
    }
    put_attributes(out, &span.attributes, span.dropped_attributes_count)?;
    for event in &span.events {
        let after = Duration::from_nanos(event.time_unix_nano.saturating_sub(start));
        write!(out, "    event +{after:?} {}", Printable::new(&event.name))?;
        put_attributes(out, &event.attributes, event.dropped_attributes_count)?;
    }
    for link in &span.links {
        write!(
            out,
            "    link trace_id={} span_id={}",
            Hex(&link.trace_id),
            Hex(&link.span_id)
        )?;
        put_attributes(out, &link.attributes, link.dropped_attributes_count)?;
    }
    for (what, count) in [
        ("events", span.dropped_events_count),
        ("links", span.dropped_links_count),
    ] {
        if count > 0 {
            writeln!(out, "    {count} {what} dropped")?;
        }
    }
    Ok(())
}

fn put_status(out: &mut String, status: Option<&Status>) -> fmt::Result {
    match status.map(|status| (status.code(), status.message.as_str())) {
        None | Some((StatusCode::Unset, _)) => Ok(()),
        Some((StatusCode::Ok, _)) => out.write_str(" ok"),
        Some((StatusCode::Error, "")) => out.write_str(" error"),
        Some((StatusCode::Error, message)) => write!(out, " error: {}", Printable::new(message)),
    }
}

/// To the end of the line.
fn put_attributes(out: &mut String, attributes: &[KeyValue], dropped: u32) -> fmt::Result {
    for attribute in attributes {
        write!(out, " {}", Attribute(attribute))?;
    }
    if dropped > 0 {
        write!(out, " (and {dropped} dropped)")?;
    }
    out.write_char('\n')
}

const fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

/// `2026-11-21T10:00:00.123456Z`, of nanoseconds since 1970.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = std::time::UNIX_EPOCH + Duration::from_nanos(self.0);
        write!(f, "{}", humantime::format_rfc3339_micros(time))
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct Attribute<'a>(&'a KeyValue);

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", Printable::new(&self.0.key))?;
        put_value(f, self.0.value.as_ref(), MAX_DEPTH)
    }
}

fn put_value(f: &mut fmt::Formatter<'_>, value: Option<&AnyValue>, depth: usize) -> fmt::Result {
    let Some(value) = value.and_then(|value| value.value.as_ref()) else {
        return f.write_str("null");
    };
    let Some(below) = depth.checked_sub(1) else {
        return f.write_char('…');
    };
    match value {
        // Quoted and escaped.
        Value::StringValue(text) => write!(f, "{text:?}"),
        Value::BoolValue(value) => write!(f, "{value}"),
        Value::IntValue(value) => write!(f, "{value}"),
        Value::DoubleValue(value) => write!(f, "{value:?}"),
        Value::BytesValue(bytes) => write!(f, "0x{}", Hex(bytes)),
        Value::StringValueStrindex(index) => write!(f, "string #{index}"),
        Value::ArrayValue(array) => {
            f.write_char('[')?;
            for (index, value) in array.values.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                put_value(f, Some(value), below)?;
            }
            f.write_char(']')
        }
        Value::KvlistValue(list) => {
            f.write_char('{')?;
            for (index, pair) in list.values.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                write!(f, "{}: ", Printable::new(&pair.key))?;
                put_value(f, pair.value.as_ref(), below)?;
            }
            f.write_char('}')
        }
    }
}

/// Of values in values; what is deeper is left out.
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use opentelemetry::trace::{
        Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
    };
    use opentelemetry::{InstrumentationScope, KeyValue as Pair, Value as SdkValue};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
    use prost::Message;

    use super::*;
    use crate::Batch;

    fn context(span: u64) -> SpanContext {
        SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            SpanId::from(span),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        )
    }

    fn printed(span: SpanData) -> String {
        let resource = Resource::builder_empty().with_service_name("users").build();
        let batch = Batch::encode(&resource, [&span]);
        text(&ExportTraceServiceRequest::decode(batch.into_bytes()).unwrap())
    }

    fn span() -> SpanData {
        let start = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        SpanData {
            span_context: context(1),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: "GET /users/{id}".into(),
            start_time: start,
            end_time: start + Duration::from_micros(1500),
            attributes: vec![],
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("docs").build(),
        }
    }

    #[test]
    fn a_span_is_a_line() {
        assert_eq!(
            printed(span()),
            "2023-11-14T22:13:20.123456Z 1.5ms server GET /users/{id} service.name=\"users\" \
             trace_id=0af7651916cd43dd8448eb211c80319c span_id=0000000000000001\n"
        );
    }

    #[test]
    fn everything_about_it_is_there() {
        let mut span = span();
        span.span_kind = SpanKind::Client;
        span.parent_span_id = SpanId::from(2);
        span.status = Status::error("gone\nERROR");
        span.attributes = vec![
            Pair::new("text", "a \"b\"\n\u{1b}[2J"),
            Pair::new("list", SdkValue::Array(vec![1i64, -2].into())),
            Pair::new("half", 0.5),
        ];
        span.dropped_attributes_count = 3;
        let at = span.start_time + Duration::from_millis(1);
        let mut events = SpanEvents::default();
        events.events = vec![Event::new("exception", at, vec![Pair::new("yes", true)], 0)];
        events.dropped_count = 1;
        span.events = events;
        let mut links = SpanLinks::default();
        links.links = vec![Link::new(context(9), vec![], 0)];
        span.links = links;
        let text = printed(span);
        let lines: Vec<_> = text.lines().collect();
        for expected in [
            " client GET /users/{id} error: gone\\nERROR ",
            " parent_span_id=0000000000000002 ",
            r#" text="a \"b\"\n\u{1b}[2J" list=[1, -2] half=0.5 (and 3 dropped)"#,
        ] {
            assert!(lines[0].contains(expected), "{text}");
        }
        assert_eq!(
            lines[1..],
            [
                "    event +1ms exception yes=true",
                "    link trace_id=0af7651916cd43dd8448eb211c80319c span_id=0000000000000009",
                "    1 events dropped",
            ]
        );
    }

    #[test]
    fn values_in_values_end() {
        let mut value = AnyValue { value: None };
        for _ in 0..1000 {
            value = AnyValue {
                value: Some(Value::ArrayValue(
                    opentelemetry_proto::tonic::common::v1::ArrayValue {
                        values: vec![value],
                    },
                )),
            };
        }
        let attribute = KeyValue {
            key: "deep".to_owned(),
            value: Some(value),
            ..KeyValue::default()
        };
        let text = Attribute(&attribute).to_string();
        assert_eq!(text, format!("deep={}…{}", "[".repeat(16), "]".repeat(16)));
    }
}
