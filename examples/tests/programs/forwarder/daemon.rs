//! The forwarder as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towline_test_support::collector::Collector;

/// A forwarder that listens at both addresses. Killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    stdout: BufReader<ChildStdout>,
    grpc: String,
    http: String,
    /// Of the configuration.
    _directory: TempDir,
}

/// A configuration file, and a directory for what it names.
pub(crate) struct Config {
    directory: TempDir,
    path: PathBuf,
}

// === impl Config ===

impl Config {
    /// `forwarder_service` without its addresses, and the spans go to `exporter_url`.
    pub(crate) fn new(section: &str, exporter_url: &str) -> Self {
        let section: String = section.lines().map(|line| format!("  {line}\n")).collect();
        Self::of(&format!(
            "forwarder_service:\n  grpc_listen_addr: 127.0.0.1:0\n  http_listen_addr: 127.0.0.1:0\n{section}\
             tracing_service:\n  enabled: yes\n  exporter_url: {exporter_url}\n  service_name: forwarder\n"
        ))
    }

    pub(crate) fn of(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("forwarder.yaml");
        std::fs::write(&path, text).unwrap();
        Self { directory, path }
    }

    /// With a file beside it: in the text `DIR` is the directory of both.
    pub(crate) fn with_file(self, name: &str, text: &str) -> Self {
        let path = self.directory.path();
        std::fs::write(path.join(name), text).unwrap();
        let config = std::fs::read_to_string(&self.path).unwrap();
        let config = config.replace("DIR", path.to_str().unwrap());
        std::fs::write(&self.path, config).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `--check`.
    pub(crate) fn check(&self) -> Output {
        command(&self.path).arg("--check").output().unwrap()
    }

    /// Runs until it ends by itself.
    pub(crate) fn run(&self) -> Output {
        command(&self.path).output().unwrap()
    }
}

// === impl Daemon ===

impl Daemon {
    /// Starts it and waits until it listens.
    pub(crate) fn start(config: Config) -> Self {
        let mut child = command(&config.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let url = line.trim_end().strip_prefix("listening on ");
            url.unwrap_or_else(|| panic!("no address in {line:?}"))
                .to_owned()
        };
        Self {
            grpc: url(),
            http: url(),
            child,
            stdout,
            _directory: config.directory,
        }
    }

    /// Before a collector, for whom `authorize` says.
    pub(crate) fn before(collector: &Collector, authorize: &str) -> Self {
        Self::start(Config::new(
            &format!("authorize: {authorize}"),
            &collector.grpc_url(),
        ))
    }

    /// The exporter URL for OTLP/gRPC.
    pub(crate) fn grpc(&self) -> &str {
        &self.grpc
    }

    /// The exporter URL for OTLP/HTTP.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Asks it to stop.
    pub(crate) fn interrupt(&self) {
        let signal = format!("kill -TERM {}", self.child.id());
        let killed = Command::new("sh").args(["-c", &signal]).status();
        assert!(killed.unwrap().success());
    }

    /// Waits until it has ended: with which status, and the last line that it has printed.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < DEADLINE, "the forwarder does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let last = rest.lines().last().unwrap_or_default().to_owned();
        (self.child.wait().unwrap(), last)
    }

    /// Asks it to stop, which it does without losing anything: the last line.
    pub(crate) fn stop(self) -> String {
        self.interrupt();
        let (status, last) = self.ended();
        assert_eq!(status.code(), Some(0), "{last}");
        last
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, in an environment that says nothing of exporters.
fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(variable);
        }
    }
    command.arg("--config").arg(config);
    command
}

/// Generous: nothing here is about time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
