use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;
use tower_layer::Layer;

use super::command::{Command, Deadline, Outcome, Reply};
use super::health::Health;
use super::outcome::{FlushError, FlushErrorKind, ShutdownError, ShutdownErrorKind, Summary};
use super::stats::Stats;
use super::thread::ResourceSlot;
use crate::buffer::{Buffer, Drain, Loss};
use crate::policy::{
    Backoff, Closing, Observe, Observer, Retry, RetryLayer, Timeout, TimeoutLayer,
};
use crate::{BoxTransport, ExportError, ExportErrorKind, Receipt};

/// A transport with everything around it: retries of attempts, each observed, each with its time.
pub(super) type Stack = Retry<Observe<Timeout<BoxTransport>>>;

/// What the export thread does: takes batches from the buffer when they are due, sends them, keeps
/// the accounts, answers those who wait.
pub(super) struct Worker {
    buffer: Arc<Buffer>,
    drain: Drain,
    resource: Arc<ResourceSlot>,
    stack: Stack,
    health: Arc<Health>,
    commands: UnboundedReceiver<Command>,
    closing: watch::Sender<Option<Closing>>,
    flush_interval: Duration,

    /// Batches on their way, each in a task: a transport that panics takes only its batch with it.
    sending: JoinSet<Result<Receipt, ExportError>>,
    parcels: HashMap<Id, Sent>,
    /// Spans with lower numbers are to be sent even if they do not fill a batch.
    due_before: u64,
    /// When all that is held becomes due.
    flush_at: Option<Instant>,
    flushes: Vec<Flush>,
    shutdown: Option<Shutdown>,
}

/// What must be known of a batch when its answer comes.
#[derive(Debug)]
struct Sent {
    numbers: Range<u64>,
    bytes: usize,
    spans: usize,
}

/// Somebody waits until every span with a number below `before` is settled.
#[derive(Debug)]
struct Flush {
    before: u64,
    lost: u64,
    deadline: Deadline,
    reply: Reply<Result<(), FlushError>>,
}

#[derive(Debug)]
struct Shutdown {
    deadline: Deadline,
    lost: u64,
    replies: Vec<Reply<Outcome>>,
}

/// Puts timeout, observation and retry around a transport.
pub(super) fn stack(
    transport: BoxTransport,
    timeout: Duration,
    backoff: Backoff,
    health: &Arc<Health>,
    closing: watch::Receiver<Option<Closing>>,
) -> Stack {
    let health = Arc::clone(health);
    let observer: Observer = Arc::new(move |result| health.observe(result));
    let timeout = match transport.peer() {
        Some(peer) => TimeoutLayer::new(timeout).peer(peer),
        None => TimeoutLayer::new(timeout),
    };
    let attempts = Observe::new(timeout.layer(transport), observer);
    RetryLayer::new(backoff).closing(closing).layer(attempts)
}

// === impl Worker ===

impl Worker {
    pub(super) fn new(
        buffer: Arc<Buffer>,
        resource: Arc<ResourceSlot>,
        stack: Stack,
        health: Arc<Health>,
        commands: UnboundedReceiver<Command>,
        closing: watch::Sender<Option<Closing>>,
        flush_interval: Duration,
    ) -> Self {
        Self {
            drain: Drain::new(Arc::clone(&buffer)),
            buffer,
            resource,
            stack,
            health,
            commands,
            closing,
            flush_interval,
            sending: JoinSet::new(),
            parcels: HashMap::new(),
            due_before: 0,
            flush_at: None,
            flushes: Vec::new(),
            shutdown: None,
        }
    }

    pub(super) const fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    pub(super) const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Runs until shutdown, and leaves its outcome in `outcome` before anybody is told.
    pub(super) async fn run(mut self, outcome: &OnceLock<Outcome>) {
        loop {
            self.send_what_is_due();
            self.answer_flushes();
            if self.is_done() {
                break;
            }
            // Once every handle is gone and that is known, there are no commands any more.
            let has_handles = self.shutdown.is_none() || !self.commands.is_closed();
            let wake_at = self.wake_at();
            tokio::select! {
                Some(sent) = self.sending.join_next_with_id() => self.settle(sent),
                command = self.commands.recv(), if has_handles => self.obey(command),
                () = self.buffer.woken() => {}
                () = until(wake_at) => self.check_time(),
            }
        }
        self.finish(outcome);
    }

    /// Everything is settled, or the time for it is over.
    fn is_done(&self) -> bool {
        let Some(shutdown) = &self.shutdown else {
            return false;
        };
        shutdown.deadline.has_passed()
            || (self.sending.is_empty() && self.buffer.snapshot().ledger.held == 0)
    }

    fn send_what_is_due(&mut self) {
        let limits = *self.buffer.limits();
        while self.sending.len() < limits.concurrency {
            let is_due = self.drain.formed() < self.due_before
                || self.buffer.snapshot().pending_bytes >= limits.batch_bytes;
            if !is_due {
                break;
            }
            let Some(parcel) = self.drain.next_parcel(&self.resource.get()) else {
                break;
            };
            let sent = Sent {
                numbers: parcel.numbers,
                bytes: parcel.batch.len_bytes(),
                spans: parcel.batch.spans(),
            };
            let task = self.sending.spawn(self.stack.clone().oneshot(parcel.batch));
            self.parcels.insert(task.id(), sent);
            // What is left came just now.
            self.flush_at = None;
        }
        if self.buffer.snapshot().ledger.held == 0 {
            self.flush_at = None;
        } else if self.flush_at.is_none() {
            self.flush_at = Some(Deadline::after(self.flush_interval).instant());
        }
    }

    fn settle(&mut self, sent: Result<(Id, Result<Receipt, ExportError>), JoinError>) {
        let (id, result) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let panicked = ExportError::new(ExportErrorKind::Other, "the transport panicked");
                (error.id(), Err(panicked))
            }
        };
        let Some(sent) = self.parcels.remove(&id) else {
            return;
        };
        let (lost, loss) = match &result {
            Ok(receipt) => (receipt.rejected_spans().min(sent.spans), Loss::Refused),
            Err(error) => (sent.spans, loss(error)),
        };
        self.drain.settle(sent.bytes, sent.spans - lost, loss, lost);
        for flush in self
            .flushes
            .iter_mut()
            .filter(|flush| sent.numbers.start < flush.before)
        {
            flush.lost += lost as u64;
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.lost += lost as u64;
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Flush(deadline, reply)) => {
                self.make_all_due();
                self.flushes.push(Flush {
                    before: self.due_before,
                    lost: 0,
                    deadline,
                    reply,
                });
            }
            Some(Command::Shutdown(deadline, reply)) => self.shut_down(deadline, Some(reply)),
            // Nobody has a handle any more.
            None => self.shut_down(Deadline::after(FAREWELL), None),
        }
    }

    fn shut_down(&mut self, deadline: Deadline, reply: Option<Reply<Outcome>>) {
        self.buffer.close();
        self.make_all_due();
        let shutdown = self.shutdown.get_or_insert_with(|| Shutdown {
            deadline,
            lost: 0,
            replies: Vec::new(),
        });
        shutdown.deadline = shutdown.deadline.min(deadline);
        shutdown.replies.extend(reply);
        self.closing.send_replace(Some(Closing {
            deadline: shutdown.deadline.instant(),
            patient: self.health.was_reached(),
        }));
    }

    fn make_all_due(&mut self) {
        self.due_before = self.drain.formed() + self.buffer.snapshot().ledger.held;
    }

    fn check_time(&mut self) {
        if self.flush_at.is_some_and(|at| at <= Instant::now()) {
            self.flush_at = None;
            self.make_all_due();
        }
    }

    /// Answers the flushes that are done, or out of time.
    fn answer_flushes(&mut self) {
        // Spans with lower numbers are settled.
        let settled = self
            .parcels
            .values()
            .map(|sent| sent.numbers.start)
            .min()
            .unwrap_or(self.drain.formed());
        for flush in self.flushes.extract_if(.., |flush| {
            flush.before <= settled || flush.deadline.has_passed()
        }) {
            flush.reply.send(match flush.lost {
                _ if flush.before > settled => {
                    Err(FlushError::new(FlushErrorKind::Timeout, flush.lost))
                }
                0 => Ok(()),
                lost => Err(FlushError::new(FlushErrorKind::Lost, lost)),
            });
        }
    }

    /// When something is to be done even if nothing happens.
    fn wake_at(&self) -> Option<Instant> {
        let flushes = self.flushes.iter().map(|flush| flush.deadline.instant());
        let shutdown = self
            .shutdown
            .iter()
            .map(|shutdown| shutdown.deadline.instant());
        // While every slot is taken, what becomes due cannot be sent.
        flushes.chain(shutdown).chain(self.flush_at).min()
    }

    /// Gives up what is left, and answers everybody.
    fn finish(mut self, outcome: &OnceLock<Outcome>) {
        // Answers that have come, and were not read before the deadline.
        while let Some(sent) = self.sending.try_join_next_with_id() {
            self.settle(sent);
        }
        let Some(shutdown) = self.shutdown.take() else {
            return;
        };
        let ledger = self.buffer.snapshot().ledger;
        let abandoned = ledger.held + ledger.in_flight;
        self.sending.abort_all();
        self.buffer.abandon();
        let failed_attempts = self.health.failed_attempts();
        let stats = Stats::new(&self.buffer.snapshot(), failed_attempts);
        let result = match (abandoned, shutdown.lost) {
            (0, 0) => Ok(Summary::new(stats)),
            (0, lost) => Err(ShutdownError::new(ShutdownErrorKind::Lost, lost, stats)),
            (abandoned, lost) => Err(ShutdownError::new(
                ShutdownErrorKind::Timeout,
                abandoned + lost,
                stats,
            )),
        };
        let result = outcome.get_or_init(|| result).clone();
        for reply in shutdown.replies {
            reply.send(result.clone());
        }
        for flush in self.flushes {
            flush.reply.send(Err(FlushError::new(
                FlushErrorKind::Shutdown,
                flush.lost + abandoned,
            )));
        }
        // Those who asked meanwhile; who asks from now on finds the channel closed, and the outcome
        // in its place.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Flush(_, reply) => {
                    reply.send(Err(FlushError::new(FlushErrorKind::Shutdown, 0)))
                }
                Command::Shutdown(_, reply) => reply.send(result.clone()),
            }
        }
    }
}

/// Waits for a point in time, or for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// How spans are counted whose batch failed for good.
fn loss(error: &ExportError) -> Loss {
    match error.kind() {
        ExportErrorKind::TooLarge => Loss::TooLarge,
        ExportErrorKind::Refused(_) if !error.is_retryable() => Loss::Refused,
        _ => Loss::Failed,
    }
}

/// What an exporter without handles gets to deliver what it holds: the SDK's time for a shutdown.
const FAREWELL: Duration = Duration::from_secs(5);
