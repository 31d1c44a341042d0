//! Whatever batches, limits and formats: what is read back is what was written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use towline_otlp::{Batch, Endpoint, Exporter, File, FileFormat};

use crate::read::{self, FORMATS, paths, records};
use crate::support::spans::{any_resource, any_span, number, span};
use crate::support::transport::decode;

/// What JSON's decoder is given in place of numbers that JSON does not have.
fn finite(mut spans: Vec<ResourceSpans>) -> Vec<ResourceSpans> {
    fn any_value(value: &mut AnyValue) {
        match &mut value.value {
            Some(Value::DoubleValue(double)) if !double.is_finite() => *double = 0.5,
            Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(any_value),
            _ => {}
        }
    }
    fn attributes(attributes: &mut [KeyValue]) {
        let values = attributes.iter_mut().filter_map(|it| it.value.as_mut());
        values.for_each(any_value);
    }
    for resource in &mut spans {
        if let Some(resource) = &mut resource.resource {
            attributes(&mut resource.attributes);
        }
        for scope in &mut resource.scope_spans {
            if let Some(scope) = &mut scope.scope {
                attributes(&mut scope.attributes);
            }
            for span in &mut scope.spans {
                attributes(&mut span.attributes);
                let (events, links) = (span.events.iter_mut(), span.links.iter_mut());
                events.for_each(|event| attributes(&mut event.attributes));
                links.for_each(|link| attributes(&mut link.attributes));
            }
        }
    }
    spans
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let piece = (any_resource(), vec(any_span(), 1..3));
    vec(piece, 1..4).prop_map(|pieces| {
        Batch::concat(
            pieces
                .iter()
                .map(|(resource, spans)| Batch::encode(resource, spans)),
        )
    })
}

fn any_limit() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..500u64, 500..20_000u64, Just(u64::MAX)]
}

/// No file is over the limit, unless it has a single record.
fn keeps_to(limit: u64, directory: &Path) -> bool {
    paths(directory)
        .iter()
        .all(|path| fs::metadata(path).unwrap().len() <= limit || records(path).len() == 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Across restarts as well, of which there is one after each batch or none.
    #[test]
    fn any_batches_are_read_back_in_order(
        batches in vec(any_batch(), 1..5),
        limit in any_limit(),
        format in proptest::sample::select(&FORMATS[..]),
        is_restarted in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let open = || File::builder(directory.path()).format(format).limit_bytes(limit).build();
        let mut file = open().unwrap();
        for batch in &batches {
            read::write(&file, [batch.clone()]).unwrap();
            if is_restarted {
                drop(file);
                file = open().unwrap();
            }
        }
        let mut expected: Vec<_> =
            batches.iter().flat_map(|batch| decode(batch).resource_spans).collect();
        if format != FileFormat::Proto {
            expected = finite(expected);
        }
        // As bytes, since no NaN is equal to another.
        let bytes = |spans: &[ResourceSpans]| -> Vec<_> {
            spans.iter().map(Message::encode_to_vec).collect()
        };
        prop_assert_eq!(bytes(&read::spans(directory.path())), bytes(&expected));
        prop_assert!(keeps_to(limit, directory.path()));
    }
}

#[test]
fn a_record_torn_at_any_byte_is_cut_back_to_the_one_before() {
    let resource = Resource::builder_empty().build();
    let batches = (0..3).map(|index| Batch::encode(&resource, [&span(index)]));
    let whole: Vec<_> = batches
        .clone()
        .take(2)
        .flat_map(|batch| decode(&batch).resource_spans)
        .collect();
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let open = || File::builder(directory.path()).format(format).build();
        read::write(&open().unwrap(), batches.clone()).unwrap();
        let path = paths(directory.path()).pop().unwrap();
        let content = fs::read(&path).unwrap();
        let last =
            records(&path).pop().unwrap().len() + if format == FileFormat::Proto { 4 } else { 1 };
        let end = content.len() - last;
        for torn in end..content.len() {
            for path in paths(directory.path()) {
                fs::remove_file(path).unwrap();
            }
            fs::write(&path, &content[..torn]).unwrap();
            let file = open().unwrap();
            assert_eq!(fs::read(&path).unwrap(), content[..end], "{format} {torn}");
            assert_eq!(read::spans(directory.path()), whole, "{format} {torn}");
            // And it goes on behind that.
            read::write(&file, batches.clone().skip(2)).unwrap();
            assert_eq!(read::spans(directory.path()).len(), 3, "{format} {torn}");
        }
    }
}

#[test]
fn an_empty_batch_is_an_empty_record() {
    for (format, expected) in [
        (FileFormat::Json, &b"{\"resourceSpans\":[]}\n"[..]),
        // A line is of a resource, and there is none.
        (FileFormat::Teleport, b""),
        (FileFormat::Proto, &[0; 4]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = File::builder(directory.path())
            .format(format)
            .build()
            .unwrap();
        read::write(&file, [Batch::default()]).unwrap();
        let path = paths(directory.path()).pop().unwrap();
        assert_eq!(fs::read(path).unwrap(), expected);
    }
}

#[test]
fn a_url_says_all_that_a_builder_says() {
    let directory = tempfile::tempdir().unwrap();
    let week = Duration::from_secs(7 * 86_400);
    let old = directory
        .path()
        .join("0000000000000000001-00000000000000ff.jsonl");
    for (query, extension, is_old_kept) in [
        ("", "jsonl", true),
        ("format=json&max_files=9", "jsonl", true),
        ("format=teleport&max_files=1", "trace", false),
        ("format=proto&max_age=7d", "pb", false),
    ] {
        fs::write(&old, "").unwrap();
        let stale = fs::File::options().append(true).open(&old).unwrap();
        stale
            .set_modified(std::time::SystemTime::now() - week - week)
            .unwrap();
        drop(stale);
        let url = format!("file://{}?limit=300&{query}", directory.path().display());
        let endpoint = Endpoint::parse(url.trim_end_matches('&')).unwrap();
        let (processor, exporter) = Exporter::builder().endpoint(endpoint).build().unwrap();
        assert_eq!(old.exists(), is_old_kept, "{query}");
        let _ = fs::remove_file(&old);
        for index in 0..2 {
            processor.on_end(span(index));
            exporter.blocking_flush(Duration::from_secs(60)).unwrap();
        }
        exporter.blocking_shutdown(Duration::from_secs(60)).unwrap();
        let spans = read::spans(directory.path());
        let spans = spans
            .iter()
            .flat_map(|it| &it.scope_spans)
            .flat_map(|it| &it.spans);
        let numbers: Vec<_> = spans.map(|span| number(&span.span_id)).collect();
        let is_one_kept = query.ends_with("max_files=1");
        assert_eq!(
            numbers,
            if is_one_kept { vec![1] } else { vec![0, 1] },
            "{query}"
        );
        for path in paths(directory.path()) {
            assert_eq!(path.extension().unwrap(), extension, "{query}");
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn two_processes_in_one_directory_write_into_files_of_their_own() {
    let resource = Resource::builder_empty().build();
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            File::builder(directory.path())
                .format(format)
                .limit_bytes(2000)
                .build()
        };
        // A lock is of an open file: two of one process are as good as two of two.
        let writers: Vec<_> = (0..4u64)
            .map(|writer| (writer, open().unwrap()))
            .map(|(writer, file)| {
                let resource = resource.clone();
                std::thread::spawn(move || {
                    for index in 0..25 {
                        let batch = Batch::encode(&resource, [&span(writer * 1000 + index)]);
                        read::write(&file, [batch]).unwrap();
                    }
                })
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        let mut numbers = Vec::new();
        for path in paths(directory.path()) {
            let found: Vec<_> = records(&path);
            assert!(
                fs::metadata(&path).unwrap().len() <= 2000,
                "{}",
                found.len()
            );
        }
        for resource in read::spans(directory.path()) {
            numbers.push(number(&resource.scope_spans[0].spans[0].span_id));
        }
        // Of each writer in its order.
        for writer in 0..4 {
            let of_it: Vec<_> = numbers.iter().filter(|it| **it / 1000 == writer).collect();
            let expected: Vec<_> = (0..25).map(|index| writer * 1000 + index).collect();
            assert_eq!(of_it, expected.iter().collect::<Vec<_>>(), "{format}");
        }
        assert_eq!(numbers.len(), 100);
    }
}
