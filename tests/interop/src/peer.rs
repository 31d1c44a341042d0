//! Programs of others, as processes of a test.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A program that runs until this is dropped.
///
/// It works in a directory of its own, which goes with it. Its log is shown when the test fails.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    child: Child,
    directory: TempDir,
}

// === impl Peer ===

impl Peer {
    /// Starts a program on `N` free ports of the loopback interface, and waits until it listens on
    /// each.
    ///
    /// Between the choice of a port and its use somebody else may take it. Then the program ends,
    /// and is started anew on others.
    ///
    /// # Panics
    ///
    /// When the program cannot be started, does not stay, or does not listen in time.
    #[must_use]
    pub fn start<const N: usize>(
        name: &'static str,
        command: impl Fn([SocketAddr; N]) -> Command,
    ) -> (Self, [SocketAddr; N]) {
        for _ in 0..ATTEMPTS {
            let addresses = free_addresses();
            let mut peer = Self::spawn(name, command(addresses));
            if peer.listens(&addresses) {
                return (peer, addresses);
            }
            eprintln!("--- {name} ended, on {addresses:?}:\n{}---", peer.log());
        }
        panic!("{name}: ended, {ATTEMPTS} times");
    }

    /// Asks until there is an answer.
    ///
    /// # Panics
    ///
    /// When there is none in time, or the peer ends.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(!self.ended(), "{}: ended before {what}", self.name);
            let waited = started.elapsed();
            assert!(waited < DEADLINE, "{}: no {what} in {waited:?}", self.name);
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// What it has printed so far, on both streams.
    ///
    /// # Panics
    ///
    /// When that cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join(LOG)).expect("the log of a peer");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The CPU time that it has used, for itself and in the system, to the hundredth of a second.
    ///
    /// # Panics
    ///
    /// Where there is no `/proc`, or not the process in it.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // Fields 14 and 15; the second is the program's name in parentheses, with anything in it.
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields
            .map(|field| field.parse::<u64>().expect("ticks"))
            .sum();
        Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
    }

    fn spawn(name: &'static str, mut command: Command) -> Self {
        let directory = tempfile::tempdir().expect("a directory for a peer");
        let log = File::create(directory.path().join(LOG)).expect("a log for a peer");
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log a second time"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {command:?} cannot be started: {error}"));
        Self {
            name,
            child,
            directory,
        }
    }

    /// Waits until it listens; `false` if it ends instead.
    fn listens(&mut self, addresses: &[SocketAddr]) -> bool {
        let started = Instant::now();
        while !addresses.iter().all(|at| TcpStream::connect(at).is_ok()) {
            if self.ended() {
                return false;
            }
            let waited = started.elapsed();
            let name = self.name;
            assert!(waited < DEADLINE, "{name}: not ready in {waited:?}");
            std::thread::sleep(POLL_INTERVAL);
        }
        // Not if it was somebody else who listened.
        !self.ended()
    }

    fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // What has ended already is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let hidden = lines.len().saturating_sub(SHOWN_LINES);
            eprintln!(
                "--- the log of {}, without its first {hidden} lines",
                self.name
            );
            for line in &lines[hidden..] {
                eprintln!("{}", line.chars().take(SHOWN_CHARS).collect::<String>());
            }
            eprintln!("---");
        }
    }
}

/// Addresses that nobody listens on, each another.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    // All are held until the last is chosen.
    [(); N]
        .map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
        .map(|listener| listener.local_addr().expect("a bound address"))
}

/// Starts of a program before it is given up.
const ATTEMPTS: usize = 3;

/// Generous: nothing here is about time.
const DEADLINE: Duration = Duration::from_secs(60);

/// `USER_HZ`, which is this on every platform that the peers are for.
const TICKS_PER_SECOND: u64 = 100;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

const LOG: &str = "log";

/// How much of a log is shown.
const SHOWN_LINES: usize = 100;
const SHOWN_CHARS: usize = 400;
