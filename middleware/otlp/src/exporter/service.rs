use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tower_service::Service;

use super::command::Command;
use super::handle::Core;
use super::stats::Forwarded;
use crate::{Batch, ExportError, ExportErrorKind, Receipt};

/// An exporter as a `tower::Service`: ships batches that others have encoded, with the exporter's
/// transport, timeout, retries and splitting.
///
/// From [`Exporter::service`](super::Exporter::service). The answer comes when the backend has
/// answered, so that whoever acknowledges a batch by it acknowledges what was delivered. All of it
/// happens on the export thread: the caller's task only waits.
///
/// Batches go as they come, each for itself, and do not take room in the buffer of the spans that
/// end here. Their bytes are bounded by
/// [`service_bytes`](super::ExporterBuilder::service_bytes): what is over it is refused at once, and
/// may be tried again a second later ([`ExportErrorKind::Overloaded`]).
///
/// # Cancel safety
///
/// Dropping the future gives the batch up, also on the export thread: nobody waits for it any more,
/// and whoever sent it will send it again. It may have arrived.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use tower::ServiceExt;
/// use towline_otlp::{Batch, Discard, Exporter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (processor, exporter) = Exporter::builder().transport(Discard::new()).build()?;
/// let received = Batch::parse(Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0]))?;
/// exporter.service().oneshot(received).await?;
/// assert_eq!(exporter.stats().forwarded.exported, 1);
/// # drop(processor);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ExporterService {
    core: Arc<Core>,
}

/// The future of [`ExporterService`].
pub struct ExporterFuture {
    state: State,
}

enum State {
    Refused(Option<ExportError>),
    Sent(oneshot::Receiver<Answer>),
}

/// What the export thread answers.
pub(super) type Answer = Result<Receipt, ExportError>;

/// A batch of somebody else on the export thread; settles the accounts however it ends.
#[derive(Debug)]
pub(super) struct Consignment {
    batch: Batch,
    reply: Option<oneshot::Sender<Answer>>,
    traffic: Arc<Traffic>,
    /// `None` until it is known; what is given up has failed.
    outcome: Option<(u64, u64)>,
}

/// The accounts of batches that others have sent.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    bytes: AtomicUsize,
    in_flight: AtomicU64,
    exported: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    overloaded: AtomicU64,
}

// === impl ExporterService ===

impl ExporterService {
    pub(super) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl fmt::Debug for ExporterService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterService").finish_non_exhaustive()
    }
}

impl Service<Batch> for ExporterService {
    type Response = Receipt;
    type Error = ExportError;
    type Future = ExporterFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // What is too much is refused by its size, which is not known yet.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let (reply, answer) = oneshot::channel();
        let state = match Consignment::new(batch, reply, &self.core) {
            Err(error) => State::Refused(Some(error)),
            Ok(consignment) => {
                self.core.ask(Command::Ship(consignment));
                State::Sent(answer)
            }
        };
        ExporterFuture { state }
    }
}

// === impl ExporterFuture ===

impl Future for ExporterFuture {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or_else(gone))),
            State::Sent(answer) => {
                Poll::Ready(ready!(Pin::new(answer).poll(cx)).unwrap_or_else(|_| Err(gone())))
            }
        }
    }
}

impl fmt::Debug for ExporterFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterFuture").finish_non_exhaustive()
    }
}

// === impl Consignment ===

impl Consignment {
    fn new(batch: Batch, reply: oneshot::Sender<Answer>, core: &Core) -> Result<Self, ExportError> {
        let traffic = Arc::clone(&core.traffic);
        let (limit, spans) = (core.service_bytes, batch.spans() as u64);
        let admitted = traffic
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                // One that is larger alone would never get through.
                before
                    .checked_add(batch.len_bytes())
                    .filter(|bytes| *bytes <= limit || before == 0)
            });
        if admitted.is_err() {
            traffic.overloaded.fetch_add(spans, Ordering::Relaxed);
            return Err(overloaded(limit));
        }
        traffic.in_flight.fetch_add(spans, Ordering::Relaxed);
        Ok(Self {
            batch,
            reply: Some(reply),
            traffic,
            outcome: None,
        })
    }

    /// Ships the batch, as long as somebody waits for the answer.
    pub(super) async fn ship(mut self, send: impl Future<Output = Answer>) {
        let Some(reply) = &mut self.reply else {
            return;
        };
        let answer = tokio::select! {
            answer = send => answer,
            () = reply.closed() => return,
        };
        self.settle(&answer);
        self.answer(answer);
    }

    /// Answers without shipping.
    pub(super) fn refuse(self, error: ExportError) {
        self.answer(Err(error));
    }

    /// Whoever gets the answer finds it in the accounts: these are settled first, here as when
    /// everything is dropped.
    fn answer(mut self, answer: Answer) {
        let reply = self.reply.take();
        drop(self);
        drop(reply.map(|reply| reply.send(answer)));
    }

    pub(super) fn batch(&self) -> Batch {
        self.batch.clone()
    }

    fn settle(&mut self, answer: &Answer) {
        let spans = self.batch.spans() as u64;
        self.outcome = Some(match answer {
            Ok(receipt) => {
                let rejected = (receipt.rejected_spans() as u64).min(spans);
                (spans - rejected, rejected)
            }
            Err(error) => ((error.delivered_spans() as u64).min(spans), 0),
        });
    }
}

impl Drop for Consignment {
    fn drop(&mut self) {
        let spans = self.batch.spans() as u64;
        let traffic = &self.traffic;
        traffic
            .bytes
            .fetch_sub(self.batch.len_bytes(), Ordering::Relaxed);
        traffic.in_flight.fetch_sub(spans, Ordering::Relaxed);
        let (exported, rejected) = self.outcome.unwrap_or_default();
        traffic.exported.fetch_add(exported, Ordering::Relaxed);
        traffic.rejected.fetch_add(rejected, Ordering::Relaxed);
        let failed = spans - exported - rejected;
        traffic.failed.fetch_add(failed, Ordering::Relaxed);
    }
}

// === impl Traffic ===

impl Traffic {
    pub(super) fn stats(&self) -> Forwarded {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Forwarded {
            exported: read(&self.exported),
            rejected: read(&self.rejected),
            failed: read(&self.failed),
            overloaded: read(&self.overloaded),
            in_flight: read(&self.in_flight),
        }
    }
}

fn overloaded(limit: usize) -> ExportError {
    let message =
        format!("the span exporter has more than {limit} bytes on their way for others already");
    ExportError::new(ExportErrorKind::Overloaded, message).with_retry_after(OVERLOADED_DELAY)
}

fn gone() -> ExportError {
    ExportError::new(ExportErrorKind::Shutdown, "the span exporter is shut down")
}

/// When whoever was refused for want of room may come back.
const OVERLOADED_DELAY: Duration = Duration::from_secs(1);
