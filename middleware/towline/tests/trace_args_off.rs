//! Without `--trace` there is nothing: alone in its process, so that threads, sockets and log lines can be counted.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::fs;

use clap::Parser;
use support::Log;
use towline::otlp::Discard;
use towline::{Environment, TraceArgs};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    trace: TraceArgs,
}

#[test]
fn without_trace_there_is_no_thread_no_socket_and_no_log_line() {
    let environment = Environment::from_iter([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "junk"),
        (
            "TRACEPARENT",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ]);
    let arguments = Cli::parse_from(["mytool"]).trace;
    let before = (count("/proc/self/task"), count("/proc/self/fd"));
    let ((), lines) = Log::of(|| {
        let session = arguments
            .session("mytool", "ls")
            .with_environment(environment)
            .start();
        session.forward_with(Discard::new());
        session.call(|| {
            assert_eq!((count("/proc/self/task"), count("/proc/self/fd")), before);
        });
        session.blocking_finish();
    });
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!((count("/proc/self/task"), count("/proc/self/fd")), before);
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}
