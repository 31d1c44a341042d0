//! Length-prefixed protobuf, byte for byte.

use std::fs;

use bytes::Bytes;
use opentelemetry_sdk::Resource;
use towline_otlp::{Batch, ExportErrorKind, File, FileFormat};

use crate::read::{self, paths};
use crate::support::spans::span;

#[test]
fn a_record_is_its_length_and_the_bytes_that_a_collector_would_get() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::builder(directory.path())
        .format(FileFormat::Proto)
        .build()
        .unwrap();
    let resource = Resource::builder().with_service_name("users").build();
    let spans: Vec<_> = (0..9).map(span).collect();
    let batches = spans.chunks(3).map(|spans| Batch::encode(&resource, spans));
    read::write(&file, batches.clone()).unwrap();
    let mut expected = Vec::new();
    for batch in batches {
        expected.extend(u32::try_from(batch.len_bytes()).unwrap().to_be_bytes());
        expected.extend(batch.bytes());
    }
    let path = paths(directory.path()).pop().unwrap();
    assert_eq!(path.extension().unwrap(), "pb");
    assert_eq!(fs::read(path).unwrap(), expected);
}

#[test]
fn what_is_no_request_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::builder(directory.path())
        .format(FileFormat::Proto)
        .build()
        .unwrap();
    let garbage = Batch::from_encoded(Bytes::from_static(b"\x0a\xff"), 1);
    let error = read::write(&file, [garbage]).unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::InvalidBatch);
    assert!(paths(directory.path()).is_empty());
}
