//! Clients that others wrote: programs in `clients` that record spans, send them, and print what
//! they recorded.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::span::{Span, sort};
use crate::tools;

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// OpenTelemetry Python, by gRPC.
    PythonGrpc,
    /// OpenTelemetry Python, by HTTP in protobuf.
    PythonHttp,
    /// OpenTelemetry JavaScript on Node, by HTTP in JSON.
    Node,
}

/// What a client is to do.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Where to: `http://` and an address.
    pub url: &'a str,
    /// The token to show.
    pub token: Option<&'a str>,
    /// For how long it may try, in milliseconds.
    pub timeout_millis: u32,
    /// The length of an attribute of one span more; 0 for no such span.
    pub large_bytes: usize,
}

/// What a client says that it has done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// What it recorded.
    pub spans: Vec<Span>,
    /// For each of its batches, whether it believes that it was taken.
    pub exports: Vec<bool>,
    /// What it had to say to its user.
    pub log: Vec<String>,
}

// === impl Client ===

impl Client {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PythonGrpc, Self::PythonHttp, Self::Node];

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started, fails, or prints something else.
    #[must_use]
    #[track_caller]
    pub fn run(self, task: Task<'_>) -> Recorded {
        let (mut command, timeout) = match self {
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(tools::client_node()).arg(task.url);
                (command, task.timeout_millis.to_string())
            }
            Self::PythonGrpc | Self::PythonHttp => {
                let program =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/client.py");
                let protocol = match self {
                    Self::PythonGrpc => "grpc",
                    _ => "http",
                };
                let mut command = Command::new(tools::client_python());
                command.arg(program).args([protocol, task.url]);
                (
                    command,
                    (f64::from(task.timeout_millis) / 1_000.0).to_string(),
                )
            }
        };
        command
            .arg(timeout)
            .arg(task.large_bytes.to_string())
            .args(task.token);
        // What a user's environment says is not for them.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTEL_") {
                command.env_remove(name);
            }
        }
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{self:?}: {command:?} cannot be started: {error}"));
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{self:?}: {}\n{stderr}",
            output.status
        );
        let last = stdout.lines().last().unwrap_or_default();
        let mut recorded: Recorded = serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{self:?}: {error} in {last}\n{stderr}"));
        for span in &mut recorded.spans {
            sort(&mut span.resource.attributes);
        }
        recorded
    }
}
