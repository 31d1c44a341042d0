use std::sync::mpsc;
use std::time::{self, Duration};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::outcome::{FlushError, ShutdownError, Summary};
use super::route::Route;
use super::service::Consignment;

/// How a shutdown ended.
pub(super) type Outcome = Result<Summary, ShutdownError>;

/// What a handle asks of the export thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Deliver everything that has ended, and say so.
    Flush(Deadline, Reply<Result<(), FlushError>>),
    /// The same, and end.
    Shutdown(Deadline, Reply<Outcome>),
    /// Here is the way that spans have waited for.
    Route(Box<Route>),
    /// Here is the resource that they have waited for.
    Resource,
    /// Deliver what somebody else has encoded.
    Ship(Consignment),
}

/// When an answer is due: so long after it was asked for, by the clock of the system, since that of
/// a caller's runtime may be paused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    asked: time::Instant,
    within: Duration,
}

/// Where an answer goes: to a future, or to a blocked thread.
#[derive(Debug)]
pub(super) enum Reply<T> {
    Future(oneshot::Sender<T>),
    Thread(mpsc::SyncSender<T>),
}

// === impl Deadline ===

impl Deadline {
    /// So long from now.
    pub(super) fn after(within: Duration) -> Self {
        Self {
            asked: time::Instant::now(),
            within,
        }
    }

    /// The point in time by the clock of the export thread.
    pub(super) fn instant(self) -> Instant {
        after(self.within.saturating_sub(self.asked.elapsed()))
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

/// So long from now by the clock of the export thread; "forever" is a year.
pub(super) fn after(time: Duration) -> Instant {
    Instant::now() + time.min(FOREVER)
}

/// More than clocks can add would panic.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
