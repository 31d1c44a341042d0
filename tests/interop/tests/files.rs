//! Files of spans are read by the OpenTelemetry Collector as they were recorded.

use towline_interop::peers::collector;
use towline_interop::span::assert_same;
use towline_interop::{export, hard, recorded};

#[test]
fn the_collector_reads_json_lines() {
    read_back("json");
}

#[test]
fn the_collector_reads_length_prefixed_protobuf() {
    read_back("proto");
}

#[track_caller]
fn read_back(format: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut spans = hard::spans();
    spans.push(hard::large());
    let resource = hard::resource();
    let url = format!("file://{}?format={format}", directory.path().display());
    let recorded = recorded::spans(&spans, &resource);
    // The second exporter goes on with the file of the first.
    let (first, second) = spans.split_at(spans.len() / 2);
    for spans in [first, second] {
        export::export_all(&url, &resource, spans);
    }
    let read = collector::read(directory.path(), format);
    assert_same("the Collector", &read, &recorded);
}
