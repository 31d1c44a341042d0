//! `format=teleport` against what Teleport does, one test for each thing that it does. Where ours
//! differs, the test says how and why.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{Array, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use serde_json::json;
use towline_otlp::{Batch, Endpoint, ExportErrorKind, Exporter, File, FileFormat};

use crate::read::{self, paths, records};
use crate::support::spans::span;

fn open(directory: &Path, limit: u64) -> File {
    let builder = File::builder(directory).format(FileFormat::Teleport);
    builder.limit_bytes(limit).build().unwrap()
}

fn batch(number: u64) -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(number)])
}

/// Records of a file each, by age.
fn counts(directory: &Path) -> Vec<usize> {
    paths(directory)
        .iter()
        .map(|it| records(it).len())
        .collect()
}

#[test]
#[cfg(unix)]
fn directories_are_made_for_the_owner_only_and_existing_ones_keep_their_mode() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let top = tempfile::tempdir().unwrap();
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let path = top.path().join("a/b");
    drop(open(&path, 100));
    assert_eq!(mode(top.path()), 0o750);
    assert_eq!(mode(&top.path().join("a")), 0o700);
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&paths(&path)[0]), 0o600);
}

/// Ours has 16 digits where theirs has up to 10, so that one can tell whose it is: theirs are not
/// locked, and must be left alone.
#[test]
fn a_file_is_named_by_the_nanoseconds_and_something_random() {
    let directory = tempfile::tempdir().unwrap();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let file = open(directory.path(), 0);
    read::write(&file, (0..5).map(batch)).unwrap();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut last = before.as_nanos();
    for path in paths(directory.path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let stem = name.strip_suffix(".trace").unwrap();
        let (nanos, random) = stem.split_once('-').unwrap();
        let nanos: u128 = nanos.parse().unwrap();
        assert!(nanos >= last && nanos <= after.as_nanos() + 5, "{name}");
        last = nanos;
        assert_eq!(random.len(), 16);
    }
}

#[test]
fn the_first_file_is_there_from_the_start_and_empty() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(directory.path(), 100);
    assert_eq!(counts(directory.path()), [0]);
    // And it is the one that is written to.
    read::write(&file, [batch(0)]).unwrap();
    assert_eq!(counts(directory.path()), [1]);
}

#[test]
fn a_new_process_begins_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..3 {
        read::write(&open(directory.path(), 1_000_000), [batch(number)]).unwrap();
    }
    drop(open(directory.path(), 1_000_000));
    assert_eq!(counts(directory.path()), [1, 1, 1, 0]);
}

/// Not a span: the spans of a resource.
#[test]
fn a_line_is_the_spans_of_one_resource() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(directory.path(), 1_000_000);
    let resource = |name: &'static str| {
        Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", name))
            .build()
    };
    let batch = Batch::concat([
        Batch::encode(&resource("one"), &[span(0), span(1)]),
        Batch::encode(&resource("two"), &[span(2)]),
    ]);
    read::write(&file, [batch]).unwrap();
    assert_eq!(counts(directory.path()), [2]);
    let spans = read::spans(directory.path());
    let counts: Vec<_> = spans
        .iter()
        .map(|it| it.scope_spans[0].spans.len())
        .collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn json_is_protobufs_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(directory.path(), 1_000_000);
    let mut span = span(0);
    span.parent_span_id = SpanId::from(0xfbff);
    span.span_kind = SpanKind::Client;
    span.status = Status::error("broken");
    span.attributes = vec![
        KeyValue::new("text", "<&>\n"),
        KeyValue::new("", ""),
        KeyValue::new("int", i64::MIN),
        KeyValue::new("zero", 0),
        KeyValue::new("double", 0.1),
        KeyValue::new(
            "list",
            Value::Array(Array::F64(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        ),
        KeyValue::new("none", Value::Array(Array::Bool(vec![]))),
        KeyValue::new("flag", false),
    ];
    span.links.links = vec![Link::new(
        SpanContext::new(
            1u128.into(),
            SpanId::from(2),
            TraceFlags::default(),
            false,
            TraceState::NONE,
        ),
        vec![],
        3,
    )];
    let resource = Resource::builder_empty()
        .with_schema_url([KeyValue::new("service.name", "users")], "https://s")
        .build();
    read::write(&file, [Batch::encode(&resource, [&span])]).unwrap();
    let line = records(&paths(directory.path())[0]).pop().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&line).unwrap();
    let expected = json!({
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "users"}}]},
        "schemaUrl": "https://s",
        "scopeSpans": [{
            "scope": {"name": "towline-http", "version": "1"},
            "spans": [{
                // Base64, not hex.
                "traceId": "CvdlGRbNQ92ESOshHIAxnA==",
                "spanId": "AAAAAAAAAAE=",
                "parentSpanId": "AAAAAAAA+/8=",
                "flags": 0x101,
                "name": "GET /users/{id}",
                // Names, not numbers.
                "kind": "SPAN_KIND_CLIENT",
                "status": {"message": "broken", "code": "STATUS_CODE_ERROR"},
                // 64 bits are strings.
                "startTimeUnixNano": "1700000000000000000",
                "endTimeUnixNano": "1700000001000000000",
                "attributes": [
                    {"key": "text", "value": {"stringValue": "<&>\n"}},
                    // A default is left out, but for the one of a choice that is set.
                    {"value": {"stringValue": ""}},
                    {"key": "int", "value": {"intValue": "-9223372036854775808"}},
                    {"key": "zero", "value": {"intValue": "0"}},
                    {"key": "double", "value": {"doubleValue": 0.1}},
                    {"key": "list", "value": {"arrayValue": {"values": [
                        {"doubleValue": "NaN"}, {"doubleValue": "Infinity"}, {"doubleValue": "-Infinity"},
                    ]}}},
                    {"key": "none", "value": {"arrayValue": {}}},
                    {"key": "flag", "value": {"boolValue": false}},
                ],
                "links": [{
                    "traceId": "AAAAAAAAAAAAAAAAAAAAAQ==",
                    "spanId": "AAAAAAAAAAI=",
                    "droppedAttributesCount": 3,
                    "flags": 0x100,
                }],
            }],
        }],
    });
    assert_eq!(found, expected);
}

#[test]
fn every_enum_has_its_name_and_an_unknown_one_its_number() {
    for (kind, code, expected) in [
        (0, 0, json!({"status": {}})),
        (
            1,
            1,
            json!({"kind": "SPAN_KIND_INTERNAL", "status": {"code": "STATUS_CODE_OK"}}),
        ),
        (
            2,
            2,
            json!({"kind": "SPAN_KIND_SERVER", "status": {"code": "STATUS_CODE_ERROR"}}),
        ),
        (
            3,
            3,
            json!({"kind": "SPAN_KIND_CLIENT", "status": {"code": 3}}),
        ),
        (4, 0, json!({"kind": "SPAN_KIND_PRODUCER", "status": {}})),
        (5, 0, json!({"kind": "SPAN_KIND_CONSUMER", "status": {}})),
        (6, 0, json!({"kind": 6, "status": {}})),
    ] {
        // resource_spans, scope_spans, spans { kind, status { code } }
        let span = [0x30, kind, 0x7a, 2, 0x18, code];
        let batch = [&[0x0a, 10, 0x12, 8, 0x12, 6][..], &span].concat();
        let directory = tempfile::tempdir().unwrap();
        let file = open(directory.path(), 100);
        read::write(&file, [Batch::parse(batch).unwrap()]).unwrap();
        let line = records(&paths(directory.path())[0]).pop().unwrap();
        let mut found: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(found["scopeSpans"][0]["spans"][0].take(), expected);
    }
}

/// A bad value is an error at the start, as there, with words that say what was expected.
#[test]
fn the_limit_is_a_number_of_bytes_and_100_mib_by_default() {
    let endpoint = Endpoint::parse("file:///a?format=teleport").unwrap();
    assert_eq!(endpoint.limit_bytes(), Some(1_048_576 * 100));
    let endpoint = Endpoint::parse("file:///a?format=teleport&limit=18446744073709551615").unwrap();
    assert_eq!(endpoint.limit_bytes(), Some(u64::MAX));
    let error = Endpoint::parse("file:///a?format=teleport&limit=100MB").unwrap_err();
    assert!(error.to_string().contains("limit=100MB"), "{error}");
    assert!(error.to_string().contains("a number of bytes"), "{error}");
}

#[test]
fn a_limit_of_zero_is_a_file_for_every_record_after_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(directory.path(), 0);
    read::write(&file, (0..4).map(batch)).unwrap();
    assert_eq!(counts(directory.path()), [1; 4]);
}

#[test]
fn a_record_larger_than_the_limit_is_written_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(directory.path(), 10);
    read::write(&file, (0..30).map(batch)).unwrap();
    assert_eq!(counts(directory.path()), [1; 30]);
}

/// The message counts without its newline, what was written before it with it.
#[test]
fn the_next_file_is_begun_when_the_limit_would_be_reached() {
    let len = {
        let directory = tempfile::tempdir().unwrap();
        read::write(&open(directory.path(), 0), [batch(0)]).unwrap();
        records(&paths(directory.path())[0])[0].len() as u64
    };
    let written = len + 1;
    for (limit, expected) in [
        (len + written, &[1, 1, 1][..]),
        (len + written + 1, &[2, 1]),
        (len + 2 * written, &[2, 1]),
        (len + 2 * written + 1, &[3]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = open(directory.path(), limit);
        read::write(&file, (0..3).map(batch)).unwrap();
        assert_eq!(counts(directory.path()), expected, "{limit}");
    }
}

/// As there, unless `max_files` or `max_age` is given, which it does not know.
#[test]
fn nothing_is_ever_removed() {
    let directory = tempfile::tempdir().unwrap();
    let file = open(directory.path(), 0);
    read::write(&file, (0..300).map(batch)).unwrap();
    assert_eq!(paths(directory.path()).len(), 300);
}

/// There, the second stop is an error, and an upload after the first as well. Here, what ends after
/// shutdown is counted, which is all that there is to say about it.
#[test]
fn what_ends_after_shutdown_is_dropped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (processor, exporter) = Exporter::builder()
        .transport(open(directory.path(), 1_000_000))
        .build()
        .unwrap();
    processor.on_end(span(0));
    let summary = exporter.blocking_shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(summary.stats.exported, 1);
    processor.on_end(span(1));
    assert_eq!(exporter.stats().dropped.shutdown, 1);
    let _ = exporter.blocking_shutdown(Duration::from_secs(60));
    assert_eq!(counts(directory.path()), [1]);
    assert_eq!(read::spans(directory.path()).len(), 1);
}

/// There, the error goes to the log, the batch is lost and part of a line may stay. Here, nothing
/// stays and the batch is tried again.
#[test]
#[cfg(unix)]
fn a_write_that_fails_is_worth_a_retry() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("traces");
    let file = open(&path, 0);
    read::write(&file, [batch(0)]).unwrap();
    fs::remove_dir_all(&path).unwrap();
    fs::write(&path, "no directory").unwrap();
    let error = read::write(&file, [batch(1)]).unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Io);
    assert!(error.is_retryable());
    fs::remove_file(&path).unwrap();
    read::write(&file, [batch(1)]).unwrap();
    assert_eq!(counts(&path), [1]);
}

/// As there each writer has a file. One of ours is told from another by its lock.
#[test]
fn several_writers_of_a_process_have_a_file_each() {
    let directory = tempfile::tempdir().unwrap();
    let writers = [(); 3].map(|()| open(directory.path(), 1_000_000));
    for (number, writer) in writers.iter().enumerate() {
        read::write(writer, [batch(number as u64)]).unwrap();
        // Clones are one writer.
        read::write(&writer.clone(), [batch(number as u64)]).unwrap();
    }
    assert_eq!(counts(directory.path()), [2; 3]);
}

/// A Teleport process locks nothing, so whatever has its names is never mended nor removed.
#[test]
fn files_of_a_teleport_process_in_the_same_directory_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let theirs = directory
        .path()
        .join("1700000000000000000-4294967295.trace");
    fs::write(&theirs, "{\"scopeSpans\"").unwrap();
    let file = File::builder(directory.path())
        .format(FileFormat::Teleport)
        .limit_bytes(0)
        .max_files(1)
        .max_age(Duration::ZERO)
        .build()
        .unwrap();
    read::write(&file, (0..3).map(batch)).unwrap();
    assert_eq!(fs::read(&theirs).unwrap(), b"{\"scopeSpans\"");
    assert_eq!(paths(directory.path()).len(), 2);
}
