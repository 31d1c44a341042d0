//! The forwarder of the examples, as a process. It is ours, and here to be measured beside others.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::peer::Peer;

/// A forwarder that receives over gRPC from anyone, and writes `teleport.forwarded.for` on every
/// resource and every span.
#[derive(Debug)]
pub struct Towline {
    peer: Peer,
    grpc: SocketAddr,
    /// Of its configuration.
    _directory: TempDir,
}

// === impl Towline ===

impl Towline {
    /// Starts one that sends on over OTLP/gRPC, as it does unless told otherwise: requests as they
    /// come, or, `coalescing`, those that come within 20 ms together.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(sink: SocketAddr, coalescing: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory for a configuration");
        let (peer, [grpc]) = Peer::start("forwarder", |[grpc]: [SocketAddr; 1]| {
            let path = directory.path().join("forwarder.yaml");
            let text = format!(
                "forwarder_service:\n  grpc_listen_addr: {grpc}\n  http_listen_addr: off\n  \
                 authorize: {{ anonymous: yes }}\n  coalesce: {{ enabled: {coalescing} }}\n\
                 tracing_service:\n  enabled: yes\n  exporter_url: grpc://{sink}\n"
            );
            std::fs::write(&path, text).expect("a configuration");
            let mut command = Command::new(program());
            command.arg("--config").arg(path);
            command
        });
        Self {
            peer,
            grpc,
            _directory: directory,
        }
    }

    /// The exporter URL for OTLP/gRPC.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("grpc://{}", self.grpc)
    }

    /// The process.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// Where `tests/interop/run` has built it.
fn program() -> PathBuf {
    std::env::var_os("TOWLINE_FORWARDER")
        .expect("TOWLINE_FORWARDER is not set: use tests/interop/run, which builds the forwarder")
        .into()
}
