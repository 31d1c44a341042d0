//! Reads files as others would: JSON by `opentelemetry-proto`, protobuf by `prost`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, TracesData};
use prost::Message;
use serde_json::Value;
use tower::ServiceExt;
use towline_otlp::{Batch, ExportError, File, FileFormat};

pub(crate) const FORMATS: [FileFormat; 3] =
    [FileFormat::Json, FileFormat::Teleport, FileFormat::Proto];

/// Writes batches, one after the other.
pub(crate) fn write(
    file: &File,
    batches: impl IntoIterator<Item = Batch>,
) -> Result<(), ExportError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    batches
        .into_iter()
        .try_for_each(|batch| runtime.block_on(file.clone().oneshot(batch)).map(drop))
}

/// The files of a directory, by age.
pub(crate) fn paths(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The records of a file as they stand there, without what separates them.
#[track_caller]
pub(crate) fn records(path: &Path) -> Vec<Vec<u8>> {
    let content = fs::read(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "pb" => {
            let (mut records, mut rest) = (Vec::new(), &content[..]);
            while !rest.is_empty() {
                let (len, behind) = rest.split_first_chunk().expect("a whole length");
                let len = u32::from_be_bytes(*len) as usize;
                let (record, behind) = behind.split_at_checked(len).expect("a whole message");
                records.push(record.to_vec());
                rest = behind;
            }
            records
        }
        "jsonl" | "trace" => {
            assert!(
                content.is_empty() || content.ends_with(b"\n"),
                "a torn line"
            );
            let lines = content.split_inclusive(|byte| *byte == b'\n');
            lines.map(|line| line[..line.len() - 1].to_vec()).collect()
        }
        other => panic!("{other} is no extension of ours"),
    }
}

/// The spans of all files of a directory, in order, by resource.
#[track_caller]
pub(crate) fn spans(directory: &Path) -> Vec<ResourceSpans> {
    let paths = paths(directory);
    let files = paths.iter().flat_map(|path| {
        let records = records(path);
        records.into_iter().flat_map(|record| decode(path, &record))
    });
    files.collect()
}

fn decode(path: &Path, record: &[u8]) -> Vec<ResourceSpans> {
    match path.extension().unwrap().to_str().unwrap() {
        "pb" => TracesData::decode(record).unwrap().resource_spans,
        "jsonl" => {
            let mut line: Value = serde_json::from_slice(record).unwrap();
            make_finite(&mut line);
            let request: ExportTraceServiceRequest = serde_json::from_value(line).unwrap();
            request.resource_spans
        }
        _ => {
            let mut line: Value = serde_json::from_slice(record).unwrap();
            make_otlp(&mut line);
            make_finite(&mut line);
            vec![serde_json::from_value(line).unwrap()]
        }
    }
}

/// Turns protobuf's own JSON into OTLP's.
fn make_otlp(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (key.as_str(), &*value) {
                    ("traceId" | "spanId" | "parentSpanId", Value::String(base64)) => {
                        let id = STANDARD.decode(base64).unwrap();
                        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
                        *value = hex.into();
                    }
                    ("kind", Value::String(name)) => {
                        *value = number_of(name, &SPAN_KINDS).into();
                    }
                    ("code", Value::String(name)) => {
                        *value = number_of(name, &STATUS_CODES).into();
                    }
                    ("arrayValue" | "kvlistValue", Value::Object(list)) if list.is_empty() => {
                        *value = serde_json::json!({"values": []});
                    }
                    ("attributes" | "values", Value::Array(values)) => {
                        // Only attributes have keys; a list's values never are empty objects with
                        // nothing but a `value`.
                        let is_attribute =
                            |value: &Value| key == "attributes" || value.get("value").is_some();
                        let mut values = values.clone();
                        for value in &mut values {
                            if is_attribute(value) && value.get("key").is_none() {
                                value["key"] = "".into();
                            }
                        }
                        *value = values.into();
                    }
                    _ => {}
                }
                make_otlp(value);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_otlp),
        _ => {}
    }
}

fn number_of(name: &str, names: &[&str]) -> usize {
    let found = names.iter().position(|known| *known == name);
    found.unwrap_or_else(|| panic!("{name} is none of {names:?}"))
}

/// Puts a number in place of each string that stands for a double: `opentelemetry-proto` does not
/// read them.
fn make_finite(value: &mut Value) {
    match value {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| {
            if key == "doubleValue" && value.is_string() {
                *value = 0.5.into();
            }
            make_finite(value);
        }),
        Value::Array(values) => values.iter_mut().for_each(make_finite),
        _ => {}
    }
}

/// By their numbers in `trace.proto`.
const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
