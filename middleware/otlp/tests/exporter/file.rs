//! Spans into files by default, as OTLP JSON lines; `tests/files` has every format.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use tower::ServiceExt;
use towline_otlp::{Batch, BuildErrorKind, Endpoint, ExportErrorKind, Exporter, File};

use crate::support::collector::spans;
use crate::support::spans::{number, span};

const LONG: Duration = Duration::from_secs(60);

/// The lines of all files, in the order of the files' names.
fn lines(directory: &Path) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let contents = paths.iter().map(|path| {
        assert_eq!(path.extension().unwrap(), "jsonl");
        fs::read_to_string(path).unwrap()
    });
    contents
        .flat_map(|content| {
            assert!(content.is_empty() || content.ends_with('\n'));
            content.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

fn write(directory: &Path, batch: Batch) -> Result<(), towline_otlp::ExportError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(File::new(directory).unwrap().oneshot(batch))
        .map(drop)
}

#[test]
fn what_is_exported_is_there_after_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("with space");
    let url = format!(
        "file://{}?limit=2000",
        path.display().to_string().replace(' ', "%20")
    );
    let (processor, exporter) = Exporter::builder()
        .url(url)
        .batch_bytes(1024)
        .build()
        .unwrap();
    for flush in 0..3 {
        (0..10).for_each(|index| processor.on_end(span(flush * 10 + index)));
        exporter.blocking_flush(LONG).unwrap();
        let requests = lines(&path);
        let requests = requests
            .iter()
            .map(|line| serde_json::from_str::<ExportTraceServiceRequest>(line).unwrap());
        let numbers: Vec<_> = requests
            .flat_map(|request| spans(&request))
            .map(|span| number(&span.span_id))
            .collect();
        assert_eq!(numbers, (0..(flush + 1) * 10).collect::<Vec<_>>());
    }
    // No file is over the limit unless a line alone is.
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            fs::metadata(&path).unwrap().len() <= 2000
                || fs::read_to_string(&path).unwrap().lines().count() == 1
        );
    }
}

#[test]
fn a_new_process_goes_on_where_the_last_one_ended() {
    let directory = tempfile::tempdir().unwrap();
    for index in 0..3 {
        write(
            directory.path(),
            Batch::encode(&Resource::builder_empty().build(), [&span(index)]),
        )
        .unwrap();
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(lines(directory.path()).len(), 3);
}

#[test]
fn json_is_otlp_json_to_the_letter() {
    let directory = tempfile::tempdir().unwrap();
    let mut span = span(0);
    span.attributes = vec![
        KeyValue::new("text", "line\n\"quoted\" \u{1f980}"),
        KeyValue::new("empty", ""),
        KeyValue::new("int", i64::MIN),
        KeyValue::new("double", 0.1),
        KeyValue::new(
            "list",
            Value::Array(Array::F64(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        ),
        KeyValue::new("none", Value::Array(Array::Bool(vec![]))),
        KeyValue::new("flag", false),
    ];
    let resource = Resource::builder_empty()
        .with_schema_url([KeyValue::new("service.name", "users")], "https://s")
        .build();
    write(directory.path(), Batch::encode(&resource, [&span])).unwrap();
    let found: serde_json::Value = serde_json::from_str(&lines(directory.path())[0]).unwrap();
    let expected = serde_json::json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "users"}}]},
        "schemaUrl": "https://s",
        "scopeSpans": [{
            "scope": {"name": "towline-http", "version": "1"},
            "spans": [{
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "0000000000000001",
                "flags": 0x101,
                "name": "GET /users/{id}",
                "kind": 2,
                "startTimeUnixNano": "1700000000000000000",
                "endTimeUnixNano": "1700000001000000000",
                "attributes": [
                    {"key": "text", "value": {"stringValue": "line\n\"quoted\" \u{1f980}"}},
                    {"key": "empty", "value": {"stringValue": ""}},
                    {"key": "int", "value": {"intValue": "-9223372036854775808"}},
                    {"key": "double", "value": {"doubleValue": 0.1}},
                    {"key": "list", "value": {"arrayValue": {"values": [
                        {"doubleValue": "NaN"}, {"doubleValue": "Infinity"}, {"doubleValue": "-Infinity"},
                    ]}}},
                    {"key": "none", "value": {"arrayValue": {"values": []}}},
                    {"key": "flag", "value": {"boolValue": false}},
                ],
                "status": {},
            }],
        }],
    }]});
    assert_eq!(found, expected);
}

#[test]
fn what_is_no_request_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    for garbage in [&b"\x0a\xff"[..], b"\x0a\x06\x12\x04\x12\x02\x2a\x01"] {
        let error = write(
            directory.path(),
            Batch::from_encoded(Bytes::from_static(garbage), 1),
        )
        .unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::InvalidBatch);
        assert!(!error.is_retryable());
    }
    assert!(lines(directory.path()).is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_to_is_an_error_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Exporter::builder()
        .url(format!("file://{}", file.display()))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), BuildErrorKind::Transport);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&file.display().to_string()), "{cause}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_is_lost_is_worth_a_retry() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::new(directory.path()).unwrap();
    let batch = Batch::encode(&Resource::builder_empty().build(), [&span(0)]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(file.clone().oneshot(batch.clone()))
        .unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    fs::write(directory.path(), "no directory").unwrap();
    let error = runtime
        .block_on(file.clone().oneshot(batch.clone()))
        .unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Io);
    assert!(error.is_retryable());
    // And once it can be written to again, it is.
    fs::remove_file(directory.path()).unwrap();
    runtime.block_on(file.oneshot(batch)).unwrap();
    assert_eq!(lines(directory.path()).len(), 1);
}

#[test]
fn other_endpoints_are_refused() {
    let error = File::connect(&Endpoint::parse("http://host").unwrap()).unwrap_err();
    assert_eq!(error.kind(), towline_otlp::TransportErrorKind::Scheme);
}
