use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::command::{Command, Outcome, Reply, after};
use super::health::Health;
use super::outcome::{FlushError, FlushErrorKind, ShutdownError, ShutdownErrorKind, Summary};
use super::route::{Policies, Route, Stack};
use super::service::{Consignment, Traffic};
use super::stats::Stats;
use super::thread::ResourceSlot;
use super::verdict::lost;
use crate::buffer::{Buffer, Drain};
use crate::policy::Closing;
use crate::{ExportError, ExportErrorKind, Receipt};

/// What the export thread does: takes batches from the buffer when they are due, sends them, keeps
/// the accounts, answers those who wait.
pub(super) struct Worker {
    buffer: Arc<Buffer>,
    drain: Drain,
    resource: Arc<ResourceSlot>,
    policies: Policies,
    /// `None` as long as nobody has said where spans go.
    stack: Option<Stack>,
    awaits_resource: bool,
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
    /// Batches that were given up in a row.
    failures: u32,
    /// A backend that fails batch after batch is left alone until then.
    rest_until: Option<Instant>,
    flushes: Vec<Flush>,
    shutdown: Option<Shutdown>,
    /// Batches of others, each in a task of its own.
    shipping: JoinSet<()>,
    traffic: Arc<Traffic>,
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
    /// Spans that had made room for newer ones when it was asked for.
    evicted: u64,
    deadline: Instant,
    reply: Reply<Result<(), FlushError>>,
}

#[derive(Debug)]
struct Shutdown {
    deadline: Instant,
    lost: u64,
    replies: Vec<Reply<Outcome>>,
}

/// What a [`Worker`] is made of.
pub(super) struct Parts {
    pub(super) buffer: Arc<Buffer>,
    pub(super) resource: Arc<ResourceSlot>,
    pub(super) policies: Policies,
    pub(super) route: Option<Route>,
    pub(super) awaits_resource: bool,
    pub(super) commands: UnboundedReceiver<Command>,
    pub(super) closing: watch::Sender<Option<Closing>>,
    pub(super) flush_interval: Duration,
    pub(super) traffic: Arc<Traffic>,
}

// === impl Worker ===

impl Worker {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            drain: Drain::new(Arc::clone(&parts.buffer)),
            buffer: parts.buffer,
            resource: parts.resource,
            stack: parts.route.map(|route| parts.policies.stack(route)),
            awaits_resource: parts.awaits_resource,
            health: Arc::clone(&parts.policies.health),
            policies: parts.policies,
            commands: parts.commands,
            closing: parts.closing,
            flush_interval: parts.flush_interval,
            sending: JoinSet::new(),
            parcels: HashMap::new(),
            due_before: 0,
            flush_at: None,
            failures: 0,
            rest_until: None,
            flushes: Vec::new(),
            shutdown: None,
            shipping: JoinSet::new(),
            traffic: parts.traffic,
        }
    }

    pub(super) const fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    pub(super) const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub(super) const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
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
                Some(_) = self.shipping.join_next() => {}
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
        shutdown.deadline <= Instant::now()
            // Nobody can supply a part in time any more.
            || !self.is_ready()
            || (self.sending.is_empty()
                && self.shipping.is_empty()
                && self.buffer.snapshot().ledger.held == 0)
    }

    /// The stack, once everything is there that spans need to go.
    fn ready_stack(&self) -> Option<Stack> {
        self.stack.clone().filter(|_| !self.awaits_resource)
    }

    const fn is_ready(&self) -> bool {
        self.stack.is_some() && !self.awaits_resource
    }

    fn send_what_is_due(&mut self) {
        let Some(stack) = self.ready_stack() else {
            return;
        };
        let limits = *self.buffer.limits();
        while self.sending.len() < limits.concurrency && !self.is_resting() {
            let waiting = self.buffer.snapshot();
            let is_due = self.drain.formed() < self.due_before
                || limits.is_batch(waiting.pending_bytes, waiting.ledger.held);
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
            let task = self.sending.spawn(stack.clone().oneshot(parcel.batch));
            self.parcels.insert(task.id(), sent);
            // What is left came just now.
            self.flush_at = None;
        }
        if self.buffer.snapshot().ledger.held == 0 {
            self.flush_at = None;
        } else if self.flush_at.is_none() {
            self.flush_at = Some(after(self.flush_interval));
        }
    }

    fn is_resting(&self) -> bool {
        // Somebody waits.
        self.flushes.is_empty()
            && self.shutdown.is_none()
            && self.rest_until.is_some_and(|at| at > Instant::now())
    }

    fn rest_after(&mut self, result: &Result<Receipt, ExportError>) {
        match result {
            Err(error) if does_harm(error) => {
                // The first may be the fault of the batch.
                if let Some(before) = self.failures.checked_sub(1) {
                    let backoff = &self.policies.backoff;
                    let pause = backoff.pause(before, error.retry_after(), fastrand::f64());
                    self.rest_until = Some(after(pause));
                }
                self.failures = self.failures.saturating_add(1);
            }
            _ => (self.failures, self.rest_until) = (0, None),
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
        self.rest_after(&result);
        let lost = lost(&result, sent.spans);
        self.health.observe_lost(&lost);
        let exported = (sent.spans as u64).saturating_sub(lost.total());
        self.drain.settle(sent.bytes, exported, &lost);
        for flush in self
            .flushes
            .iter_mut()
            .filter(|flush| sent.numbers.start < flush.before)
        {
            flush.lost += lost.total();
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.lost += lost.total();
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Flush(deadline, reply)) => {
                self.make_all_due();
                self.flushes.push(Flush {
                    before: self.due_before,
                    lost: 0,
                    evicted: self.buffer.evicted(),
                    deadline: deadline.instant(),
                    reply,
                });
            }
            Some(Command::Shutdown(deadline, reply)) => {
                self.shut_down(deadline.instant(), Some(reply));
            }
            Some(Command::Route(route)) => {
                self.stack = Some(self.policies.stack(*route));
                self.begin_if_ready();
            }
            Some(Command::Resource) => {
                self.awaits_resource = false;
                self.begin_if_ready();
            }
            Some(Command::Ship(consignment)) => self.ship(consignment),
            // Nobody has a handle any more.
            None => self.shut_down(after(FAREWELL), None),
        }
    }

    fn ship(&mut self, consignment: Consignment) {
        // It has a resource of its own.
        match self.stack.clone() {
            Some(stack) => {
                let send = stack.oneshot(consignment.batch());
                self.shipping.spawn(consignment.ship(send));
            }
            None => consignment.refuse(ExportError::new(
                ExportErrorKind::Unreachable,
                "nobody has said yet where spans go",
            )),
        }
    }

    /// What has waited for a part is due at once.
    fn begin_if_ready(&mut self) {
        if self.is_ready() {
            self.buffer.keep_oldest();
            self.make_all_due();
        }
    }

    fn shut_down(&mut self, deadline: Instant, reply: Option<Reply<Outcome>>) {
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
            deadline: shutdown.deadline,
            patient: self.health.was_reached(),
        }));
    }

    fn make_all_due(&mut self) {
        self.due_before = self.drain.formed() + self.buffer.snapshot().ledger.held;
    }

    fn check_time(&mut self) {
        self.rest_until = self.rest_until.filter(|at| *at > Instant::now());
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
        let evicted = self.buffer.evicted();
        for mut flush in self.flushes.extract_if(.., |flush| {
            flush.before <= settled || flush.deadline <= Instant::now()
        }) {
            // The oldest go first: those of the flush before any that came after it.
            flush.lost += evicted.min(flush.before).saturating_sub(flush.evicted);
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
        let flushes = self.flushes.iter().map(|flush| flush.deadline);
        let shutdown = self.shutdown.iter().map(|shutdown| shutdown.deadline);
        // While every slot is taken, what becomes due cannot be sent.
        let due = flushes.chain(shutdown).chain(self.flush_at);
        due.chain(self.rest_until).min()
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
        self.shipping.abort_all();
        self.buffer.abandon();
        let failed_attempts = self.health.failed_attempts();
        let stats = Stats::new(
            &self.buffer.snapshot(),
            failed_attempts,
            self.traffic.stats(),
        );
        let result = match (abandoned, shutdown.lost) {
            (1.., lost) if !self.is_ready() => Err(ShutdownError::new(
                ShutdownErrorKind::NotReady,
                abandoned + lost,
                stats,
            )),
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
                // A consignment that is dropped says that the exporter is gone.
                Command::Route(_) | Command::Resource | Command::Ship(_) => {}
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

/// Whether the next batch may fare better for waiting.
const fn does_harm(error: &ExportError) -> bool {
    !matches!(
        error.kind(),
        ExportErrorKind::TooLarge | ExportErrorKind::Unimplemented
    )
}

/// What an exporter without handles gets to deliver what it holds: the SDK's time for a shutdown.
const FAREWELL: Duration = Duration::from_secs(5);
