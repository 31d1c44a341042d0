use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A server program that says where it listens. Killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    address: SocketAddr,
    /// Kept, so that the program can go on printing.
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts a program and waits until it listens.
    pub(crate) fn start(path: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("no address in {line:?}"));
        Self {
            child,
            address: address.parse().unwrap(),
            _stdout: stdout,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks the program to stop, and waits until it has; it has flushed its spans then.
    pub(crate) fn stop(mut self) {
        let signal = format!("kill -TERM {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &signal])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration file that exports to `dir`, at rate 0.
pub(crate) fn config(dir: &Path, service: &str) -> String {
    let path = dir.join("towline.yaml");
    let text = format!(
        "tracing_service:\n  enabled: yes\n  exporter_url: file://{}\n  service_name: {service}\n",
        dir.join("spans").display(),
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
