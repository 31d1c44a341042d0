//! Reading back what the `file://` exporter wrote: OTLP JSON, one request a line.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;

/// A span as a reader wants it: who, what, when, and under whom.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of the resource.
    pub service: String,
    /// The name of the span.
    pub name: String,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub kind: &'static str,
    /// The trace id in hexadecimal.
    pub trace_id: String,
    /// The span id in hexadecimal.
    pub span_id: String,
    /// The parent's span id in hexadecimal; empty for a root.
    pub parent_id: String,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    /// Whether the status is an error.
    pub error: bool,
    /// The attributes, written out.
    pub attributes: HashMap<String, String>,
}

/// Reads every span in the `.jsonl` files of a directory, in the order of their start.
///
/// # Errors
///
/// When the directory or a file cannot be read, or a line is not an OTLP request in JSON.
pub fn read(directory: &Path) -> io::Result<Vec<Span>> {
    let mut spans = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "jsonl")
        {
            continue;
        }
        for line in std::fs::read_to_string(path)?.lines() {
            let request: ExportTraceServiceRequest = serde_json::from_str(line)?;
            spans.extend(spans_of(&request));
        }
    }
    spans.sort_by_key(|span| (span.start, span.end));
    Ok(spans)
}

fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = Span> + '_ {
    request.resource_spans.iter().flat_map(|resource_spans| {
        let resource = resource_spans.resource.as_ref();
        let service = resource
            .map(|resource| attributes(&resource.attributes))
            .and_then(|mut attributes| attributes.remove("service.name"))
            .unwrap_or_default();
        resource_spans
            .scope_spans
            .iter()
            .flat_map(|scope| &scope.spans)
            .map(move |span| Span {
                service: service.clone(),
                name: span.name.clone(),
                kind: kind(span.kind()),
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                error: span
                    .status
                    .as_ref()
                    .is_some_and(|status| status.code() == otlp::status::StatusCode::Error),
                attributes: attributes(&span.attributes),
            })
    })
}

fn kind(kind: otlp::span::SpanKind) -> &'static str {
    use otlp::span::SpanKind;
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    }
}

fn attributes(attributes: &[KeyValue]) -> HashMap<String, String> {
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref())))
        .collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(truth)) => truth.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
