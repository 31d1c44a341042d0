//! Another process: this test binary once more, told by variables what to do.

#![allow(clippy::print_stdout, reason = "it is how it is heard")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_otlp::{Batch, Endpoint, ExportErrorKind, Exporter, File, FileFormat};

use crate::read;
use crate::support::spans::span;
use crate::support::transport::decode;

const TASK: &str = "TOWLINE_TEST_TASK";
const URL: &str = "TOWLINE_TEST_URL";
const FIRST: &str = "TOWLINE_TEST_FIRST";

/// The arguments that make this binary do nothing but [`child`].
const ARGUMENTS: [&str; 4] = ["child::child", "--exact", "--ignored", "--nocapture"];

/// A process that is killed: see [`export_for_ever`].
pub(crate) fn exporting(url: &str, first: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(ARGUMENTS);
    command.env(TASK, "export");
    command.env(URL, url);
    command.env(FIRST, first.to_string());
    command
}

/// A process that writes while a script limits it: the script has to `exec "$@"`.
pub(crate) fn limited(mut command: Command, script: &str, task: &str, url: &str) -> Command {
    command.args(["sh", "-c", script, "sh"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(ARGUMENTS);
    command.env(TASK, task);
    command.env(URL, url);
    command
}

#[test]
#[ignore = "it is what the processes do that other tests start"]
fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let url = std::env::var(URL).unwrap();
    match task.as_str() {
        "export" => export_for_ever(&url, std::env::var(FIRST).unwrap().parse().unwrap()),
        "grow" => grow(&url),
        "fill" => fill(&url),
        other => panic!("there is no task {other}"),
    }
}

/// Exports spans as fast as it can, and says which ones are flushed.
fn export_for_ever(url: &str, first: u64) {
    let (processor, exporter) = Exporter::builder().url(url).build().unwrap();
    // What the harness prints has no newline.
    println!("\nready");
    let mut next = first;
    loop {
        let count = next % 5 + 1;
        for number in next..next + count {
            processor.on_end(large_span(
                number,
                if number % 7 == 0 { 50_000 } else { 10 },
            ));
        }
        exporter.blocking_flush(Duration::from_secs(60)).unwrap();
        assert_eq!(exporter.stats().exported, next + count - first);
        println!("flushed {next} {}.", next + count);
        next += count;
    }
}

/// Writes 200 batches, whatever the system's limit of a file is.
fn grow(url: &str) {
    let file = File::connect(&Endpoint::parse(url).unwrap()).unwrap();
    let resource = Resource::builder_empty().build();
    let batches = (0..200).map(|number| Batch::encode(&resource, [&span(number)]));
    read::write(&file, batches).unwrap();
    // Larger than any file may be.
    let batch = Batch::encode(&resource, [&large_span(200, 1_000_000)]);
    let error = read::write(&file, [batch]).unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::TooLarge);
}

/// Writes until the disk is full, and again when it is not.
fn fill(url: &str) {
    let endpoint = Endpoint::parse(url).unwrap();
    let directory = endpoint.directory().unwrap();
    let ballast = Ballast::new(directory);
    let file = File::connect(&endpoint).unwrap();
    let resource = Resource::builder_empty().build();
    let mut expected = Vec::new();
    let mut refused = 0;
    for number in 0.. {
        let batch = Batch::encode(&resource, [&large_span(number, 1000)]);
        if let Err(error) = read::write(&file, [batch.clone()]) {
            assert_eq!(error.kind(), ExportErrorKind::Io);
            assert!(error.is_retryable());
            let cause = std::error::Error::source(&error).unwrap();
            let cause: &std::io::Error = cause.downcast_ref().unwrap();
            assert_eq!(cause.kind(), std::io::ErrorKind::StorageFull);
            assert_eq!(read::spans(directory), expected);
            refused += 1;
            if refused == 1 {
                ballast.drop();
                read::write(&file, [batch.clone()]).unwrap();
            } else {
                break;
            }
        }
        expected.extend(decode(&batch).resource_spans);
        assert!(number < 10_000, "the disk is never full");
    }
    assert_eq!(read::spans(directory), expected);
    println!("\nfull twice");
}

/// A file beside the directory that takes some of the disk.
struct Ballast(PathBuf);

impl Ballast {
    fn new(directory: &Path) -> Self {
        let path = directory.parent().unwrap().join("ballast");
        std::fs::write(&path, vec![0; 32 * 1024]).unwrap();
        Self(path)
    }

    fn drop(&self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn large_span(number: u64, bytes: usize) -> SpanData {
    let mut span = span(number);
    span.attributes = vec![KeyValue::new("payload", "x".repeat(bytes))];
    span
}

pub(crate) fn url(directory: &Path, format: FileFormat, limit: u64) -> String {
    format!(
        "file://{}?format={format}&limit={limit}",
        directory.display()
    )
}
