//! Many small batches as one.
//!
//! Tools send a few spans each. [`CoalesceLayer`], around the exporter's service, holds a batch back
//! for a moment, sends it with those that come meanwhile, and answers each by what became of the
//! whole. What is merged has been stamped before: whose a span is stands on it.
//!
//! # What everybody is told
//!
//! A backend answers for the whole batch, and nobody may be told that spans were delivered which
//! were not, nor that they were lost while somebody else's were.
//!
//! | the backend's answer | each is told |
//! |---|---|
//! | all were taken | so |
//! | all were refused one by one (partial success for every span) | so, each for their own |
//! | an error that may pass, or that says nothing about the spans: no backend, no credentials | that error |
//! | some were refused, or the whole was, for what is in it | what the backend says to *their* batch: it is sent again, alone |
//!
//! What the backend says in words may be about others, and is not passed on where batches of several
//! were sent as one.
//!
//! In the last case spans may arrive twice, where the backend had taken some of the whole. OTLP
//! allows that, and backends expect it of every retry; the other choices are to lose spans that would
//! be taken, or to say of some that they were when it is not known. So that one bad sender does not
//! make it happen all the time, nothing is merged for a minute afterwards.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use tower::Layer;
//! use towline_forwarder::{CoalesceLayer, Forwarder};
//! use towline_otlp::{Discard, Exporter};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (_processor, exporter) = Exporter::builder().transport(Discard::new()).build()?;
//! let coalesce = CoalesceLayer::new().max_delay(Duration::from_millis(50));
//! let forwarder = Forwarder::builder().exporter(coalesce.layer(exporter.service())).build();
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;
use towline_otlp::{Batch, ExportError, ExportErrorKind, PeerStatus, Receipt};

/// Merges batches that come at about the same time. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct CoalesceLayer {
    max_delay: Duration,
    max_bytes: usize,
}

/// Merges batches that come at about the same time: the service of [`CoalesceLayer`].
///
/// It is called within a Tokio runtime. Clones share what they merge.
#[derive(Clone)]
pub struct Coalesce<S> {
    inner: S,
    options: CoalesceLayer,
    shared: Arc<Mutex<Shared>>,
}

/// The future of [`Coalesce`].
///
/// # Cancel safety
///
/// Dropping it gives the batch up: it is left out if it has not been sent yet. What it was sent with
/// is given up when nobody waits for any of it.
pub struct CoalesceFuture {
    answer: oneshot::Receiver<Answer>,
}

type Answer = Result<Receipt, ExportError>;

#[derive(Debug, Default)]
struct Shared {
    waiting: Vec<Waiting>,
    bytes: usize,
    /// Which collection it is: whoever waits for the delay of one must not send the next.
    turn: u64,
    /// Nothing is merged until then.
    apart_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    reply: oneshot::Sender<Answer>,
}

// === impl CoalesceLayer ===

impl CoalesceLayer {
    /// Merges what comes within 20 ms, up to 1 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_delay: Duration::from_millis(20),
            max_bytes: 1 << 20,
        }
    }

    /// How long a batch waits for others at most. Default: 20 ms.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How many bytes are sent together at most. Default: 1 MiB, well below the 4 MiB that many
    /// backends take. A batch of that size or more goes alone, at once.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl Default for CoalesceLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for CoalesceLayer {
    type Service = Coalesce<S>;

    fn layer(&self, inner: S) -> Coalesce<S> {
        Coalesce {
            inner,
            options: *self,
            shared: Arc::default(),
        }
    }
}

// === impl Coalesce ===

impl<S> Service<Batch> for Coalesce<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = CoalesceFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        // The service that a batch goes to is made ready when it goes.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> CoalesceFuture {
        let (reply, answer) = oneshot::channel();
        self.take(Waiting { batch, reply });
        CoalesceFuture { answer }
    }
}

impl<S> Coalesce<S>
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
    S::Future: Send,
{
    fn take(&self, waiting: Waiting) {
        let max_bytes = self.options.max_bytes;
        let mut shared = self.lock();
        let apart = shared
            .apart_until
            .is_some_and(|until| Instant::now() < until);
        let bytes = waiting.batch.len_bytes();
        if apart || bytes >= max_bytes {
            drop(shared);
            return self.send(vec![waiting]);
        }
        // What is there already goes before it, if both are too much.
        let full = match shared.bytes.saturating_add(bytes) > max_bytes {
            true => shared.collect(),
            false => vec![],
        };
        let is_first = shared.waiting.is_empty();
        let turn = shared.turn;
        shared.bytes += bytes;
        shared.waiting.push(waiting);
        drop(shared);
        self.send(full);
        if is_first {
            let this = self.clone();
            tokio::spawn(async move {
                sleep(this.options.max_delay).await;
                let mut shared = this.lock();
                let collected = match shared.turn == turn {
                    true => shared.collect(),
                    false => vec![],
                };
                drop(shared);
                this.send(collected);
            });
        }
    }

    /// Sends them as one, and sees to it that everybody is answered.
    fn send(&self, mut waiting: Vec<Waiting>) {
        // Whoever waits no more sends it again.
        waiting.retain(|waiting| !waiting.reply.is_closed());
        if waiting.is_empty() {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            let merged = Batch::concat(waiting.iter().map(|waiting| waiting.batch.clone()));
            let answer = tokio::select! {
                answer = this.inner.clone().oneshot(merged) => answer,
                () = all_gone(&mut waiting) => return,
            };
            if waiting.len() > 1 && concerns_content(&answer, &waiting) {
                this.lock().apart_until = Some(Instant::now() + APART);
                for waiting in waiting {
                    this.send(vec![waiting]);
                }
                return;
            }
            let is_merged = waiting.len() > 1;
            for Waiting { batch, reply } in waiting {
                let answer = match is_merged {
                    true => share(&answer, &batch),
                    false => answer.clone(),
                };
                // Whoever is gone has heard enough.
                let _ = reply.send(answer);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> fmt::Debug for Coalesce<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesce")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn collect(&mut self) -> Vec<Waiting> {
        self.bytes = 0;
        self.turn += 1;
        std::mem::take(&mut self.waiting)
    }
}

// === impl CoalesceFuture ===

impl Future for CoalesceFuture {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| {
            let message = "the task that sends merged batches is gone";
            Err(ExportError::new(ExportErrorKind::Other, message))
        }))
    }
}

impl fmt::Debug for CoalesceFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalesceFuture").finish_non_exhaustive()
    }
}

/// Waits until nobody waits any more.
async fn all_gone(waiting: &mut [Waiting]) {
    for waiting in waiting {
        waiting.reply.closed().await;
    }
}

/// Whether the answer to a merged batch depends on what is in it, so that it may be another one for
/// each of its parts.
fn concerns_content(answer: &Answer, waiting: &[Waiting]) -> bool {
    let spans = || waiting.iter().map(|waiting| waiting.batch.spans()).sum();
    match answer {
        Ok(receipt) => (1..spans()).contains(&receipt.rejected_spans()),
        Err(error) if error.is_retryable() => false,
        Err(error) => match error.kind() {
            ExportErrorKind::Refused(PeerStatus::Grpc(code)) => {
                !matches!(code, PERMISSION_DENIED | UNIMPLEMENTED | UNAUTHENTICATED)
            }
            ExportErrorKind::Refused(PeerStatus::Http(status)) => {
                !matches!(status, 401 | 403 | 404 | 405 | 501)
            }
            ExportErrorKind::TooLarge | ExportErrorKind::InvalidBatch | ExportErrorKind::Other => {
                true
            }
            // Nobody knows what was taken, and another attempt is not for us to make; or it is the
            // same for all.
            _ => false,
        },
    }
}

/// What one is told of the answer to all.
fn share(answer: &Answer, batch: &Batch) -> Answer {
    match answer {
        // In other words than the backend's: they may name what is in the batches of others.
        Ok(receipt) => match receipt.rejected_spans().min(batch.spans()) {
            0 => Ok(Receipt::accepted()),
            rejected => Ok(Receipt::partial(rejected, ALL_REFUSED)),
        },
        Err(error) => {
            // Not how many of all were delivered: whose they were is not known.
            let told = ExportError::new(error.kind(), error.to_string());
            let told = match error.retry_after() {
                Some(delay) => told.with_retry_after(delay),
                None => told,
            };
            Err(told.with_source(error.clone()))
        }
    }
}

/// How long everybody goes alone after an answer that could not be shared.
const APART: Duration = Duration::from_secs(60);

const ALL_REFUSED: &str = "the backend refused these spans, and others that were sent with them";

const PERMISSION_DENIED: i32 = 7;
const UNIMPLEMENTED: i32 = 12;
const UNAUTHENTICATED: i32 = 16;
