//! The unmarshalers of the [OpenTelemetry Collector], with which its receivers read files.
//!
//! They are libraries for Go. The program in `go` reads files with them and prints what it has
//! read.
//!
//! [OpenTelemetry Collector]: https://github.com/open-telemetry/opentelemetry-collector/tree/main/pdata/ptrace

use std::path::Path;
use std::process::Command;

use crate::span::Span;
use crate::tools;

/// The spans of all files in a directory, in the order of their names.
///
/// # Panics
///
/// When a file cannot be read, or one of its messages holds what the Collector does not know.
#[must_use]
pub fn read(directory: &Path, format: &str) -> Vec<Span> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let output = Command::new(tools::go("read-traces"))
        .arg(format)
        .args(files)
        .output()
        .expect("read-traces can be started");
    assert!(
        output.status.success(),
        "read-traces: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
