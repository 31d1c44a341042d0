use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::outcome::{FlushError, ShutdownError, Summary};

/// How a shutdown ended.
pub(super) type Outcome = Result<Summary, ShutdownError>;

/// What a handle asks of the export thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Deliver everything that has ended, and say so.
    Flush(Deadline, Reply<Result<(), FlushError>>),
    /// The same, and end.
    Shutdown(Deadline, Reply<Outcome>),
}

/// When an answer is due, by the clock of the system: that of a caller's runtime may be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline(Instant);

/// Where an answer goes: to a future, or to a blocked thread.
#[derive(Debug)]
pub(super) enum Reply<T> {
    Future(oneshot::Sender<T>),
    Thread(mpsc::SyncSender<T>),
}

// === impl Deadline ===

impl Deadline {
    /// So long from now; "forever" is a year.
    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time.min(FOREVER))
    }

    pub(super) fn has_passed(self) -> bool {
        self.0 <= Instant::now()
    }

    pub(super) fn instant(self) -> tokio::time::Instant {
        self.0.into()
    }
}

// === impl Reply ===

impl<T> Reply<T> {
    pub(super) fn send(self, answer: T) {
        // Nobody may be waiting any more.
        match self {
            Self::Future(sender) => drop(sender.send(answer)),
            Self::Thread(sender) => drop(sender.try_send(answer)),
        }
    }
}

/// More than clocks can add would panic.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
