//! A transport of [`towline_otlp`]'s exporter that stays in memory and answers as it is told.
//!
//! [`MemoryTransport`] is a `tower::Service<Batch>`, as every transport is: it goes into
//! [`ExporterBuilder::transport`](towline_otlp::ExporterBuilder::transport), under the layers of
//! [`towline_otlp::policy`], or is called by hand. It takes time from Tokio's clock alone, so that
//! with the clock paused the gaps between attempts are exact and cost nothing.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use opentelemetry_sdk::Resource;
//! use tower_service::Service;
//! use towline_otlp::{Batch, PeerStatus};
//! use towline_test_support::numbered_span;
//! use towline_test_support::transport::{MemoryTransport, Reply};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let busy = Reply::refused(PeerStatus::Http(503)).retry_after(Duration::from_secs(3));
//! let transport = MemoryTransport::sequence([busy, Reply::ok()]);
//! let batch = Batch::encode(&Resource::builder_empty().build(), &[numbered_span(7)]);
//!
//! // In place of the code under test, which does as it is asked.
//! let mut client = transport.clone();
//! let error = client.call(batch.clone()).await.unwrap_err();
//! tokio::time::sleep(error.retry_after().unwrap()).await;
//! client.call(batch).await.unwrap();
//!
//! assert_eq!(transport.gaps(), [Duration::from_secs(3)]);
//! let accepted = transport.accepted();
//! assert_eq!(accepted[&numbered_span(7).span_context.span_id()], 1);
//! # }
//! ```
//!
//! # What counts as accepted
//!
//! As with the collector of this crate: the spans of a batch at the moment of an answer
//! that takes them. [`Reply::ok`] takes all, [`Reply::partial`] all but the last ones, and any other
//! none, unless it is [`Reply::after_accepting`]. If the future is dropped before, nothing is
//! accepted.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::time::Instant;
use tower_service::Service;
use towline_otlp::{Batch, ExportError, PeerStatus, Receipt};

use crate::script::{Script, Wait};
use crate::tally::{Tally, id_of, spans_of};
use crate::{Gate, Mix};

/// A transport in memory. See the [module](self). Clones are the same transport.
#[derive(Clone, Debug)]
pub struct MemoryTransport {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    script: Script<Attempt, Reply>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    attempts: Vec<Attempt>,
    accepted: Tally,
    rejected: Tally,
}

/// One call of a [`MemoryTransport`].
#[derive(Clone, Debug)]
pub struct Attempt {
    number: usize,
    at: Instant,
    batch: Batch,
}

/// What a [`MemoryTransport`] does with a batch.
#[derive(Clone, Debug)]
pub struct Reply {
    waits: Vec<Wait>,
    end: End,
    accepts_anyway: bool,
}

#[derive(Clone, Debug)]
enum End {
    Taken { rejected: usize, message: String },
    Failed(ExportError),
    Hang,
    Panic(String),
}

/// The future of [`MemoryTransport`].
pub type MemoryFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

// === impl MemoryTransport ===

impl MemoryTransport {
    /// Takes everything.
    #[must_use]
    pub fn accepting() -> Self {
        Self::always(Reply::ok())
    }

    /// Answers each batch by a function, which runs in `call`.
    #[must_use]
    pub fn new(reply: impl Fn(&Attempt) -> Reply + Send + Sync + 'static) -> Self {
        Self::scripted(Script::function(reply))
    }

    /// Answers each batch in the same way.
    #[must_use]
    pub fn always(reply: Reply) -> Self {
        Self::scripted(Script::always(reply))
    }

    /// Answers the batches with these, one after the other, and all that follow with the last.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    #[track_caller]
    pub fn sequence(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::scripted(Script::sequence(replies))
    }

    /// Answers each batch as drawn at random.
    ///
    /// # Panics
    ///
    /// If nothing can be drawn.
    #[must_use]
    #[track_caller]
    pub fn mix(mix: Mix<Reply>) -> Self {
        Self::scripted(Script::mix(mix))
    }

    fn scripted(script: Script<Attempt, Reply>) -> Self {
        let state = Mutex::default();
        Self {
            inner: Arc::new(Inner { script, state }),
        }
    }

    /// From now on each batch is answered by this function.
    pub fn set_reply(&self, reply: impl Fn(&Attempt) -> Reply + Send + Sync + 'static) {
        self.inner.script.replace(Script::function(reply));
    }

    /// From now on each batch is answered in this way.
    pub fn set_always(&self, reply: Reply) {
        self.inner.script.replace(Script::always(reply));
    }

    /// Every call so far, whatever came of it.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.inner.state().attempts.clone()
    }

    /// The time from each call to the next one, by Tokio's clock.
    #[must_use]
    pub fn gaps(&self) -> Vec<Duration> {
        let state = self.inner.state();
        let starts = state.attempts.iter().map(|attempt| attempt.at);
        let nexts = starts.clone().skip(1);
        starts
            .zip(nexts)
            .map(|(start, next)| next - start)
            .collect()
    }

    /// The spans that were accepted, and how often each was.
    #[must_use]
    pub fn accepted(&self) -> HashMap<SpanId, usize> {
        self.inner.state().accepted.counts().clone()
    }

    /// The spans that a partial success rejected, and how often each was.
    #[must_use]
    pub fn rejected(&self) -> HashMap<SpanId, usize> {
        self.inner.state().rejected.counts().clone()
    }
}

impl Service<Batch> for MemoryTransport {
    type Response = Receipt;
    type Error = ExportError;
    type Future = MemoryFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let attempt = {
            let mut state = self.inner.state();
            let attempt = Attempt {
                number: state.attempts.len(),
                at: Instant::now(),
                batch,
            };
            state.attempts.push(attempt.clone());
            attempt
        };
        // Not under the lock: it may ask for what is recorded.
        let reply = self.inner.script.choose(&attempt);
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.reply(reply, &attempt).await })
    }
}

// === impl Inner ===

impl Inner {
    async fn reply(&self, reply: Reply, attempt: &Attempt) -> Result<Receipt, ExportError> {
        for wait in &reply.waits {
            wait.over(|| {}).await;
        }
        let rejected = match reply.end {
            End::Taken { rejected, .. } => Some(rejected),
            _ => reply.accepts_anyway.then_some(0),
        };
        let rejected = rejected.map_or(0, |rejected| self.accept(attempt, rejected));
        match reply.end {
            End::Taken { message, .. } if rejected == 0 && message.is_empty() => {
                Ok(Receipt::accepted())
            }
            End::Taken { message, .. } => Ok(Receipt::partial(rejected, message)),
            End::Failed(error) => Err(error),
            End::Hang => pending().await,
            End::Panic(message) => panic!("{message}"),
        }
    }

    /// Takes all but the last spans; says how many there were of those.
    fn accept(&self, attempt: &Attempt, rejected: usize) -> usize {
        let request = attempt.request();
        let ids: Vec<SpanId> = spans_of(&request).map(id_of).collect();
        let taken = ids.len().saturating_sub(rejected);
        let mut state = self.state();
        for (index, id) in ids.iter().enumerate() {
            match index < taken {
                true => state.accepted.add(*id),
                false => state.rejected.add(*id),
            }
        }
        ids.len() - taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Attempt ===

impl Attempt {
    /// Its number, from 0.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// When it was, by Tokio's clock.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// What was to be sent.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The same, decoded.
    ///
    /// # Panics
    ///
    /// If it is not an OTLP trace request.
    #[must_use]
    #[track_caller]
    pub fn request(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(self.batch.bytes().clone())
            .expect("a batch is an OTLP trace request")
    }
}

// === impl Reply ===

impl Reply {
    /// Takes every span.
    #[must_use]
    pub const fn ok() -> Self {
        Self::new(End::Taken {
            rejected: 0,
            message: String::new(),
        })
    }

    /// Takes all but the last `rejected` spans of the batch, and says so. With 0 it is a warning.
    #[must_use]
    pub fn partial(rejected: usize, message: impl Into<String>) -> Self {
        Self::new(End::Taken {
            rejected,
            message: message.into(),
        })
    }

    /// Fails.
    #[must_use]
    pub const fn error(error: ExportError) -> Self {
        Self::new(End::Failed(error))
    }

    /// Is refused with this status by a peer named `memory`.
    #[must_use]
    pub fn refused(status: PeerStatus) -> Self {
        Self::error(ExportError::refused("memory", status))
    }

    /// Never answers.
    #[must_use]
    pub const fn hang() -> Self {
        Self::new(End::Hang)
    }

    /// Panics with this text, in the future.
    #[must_use]
    pub fn panic(message: impl Into<String>) -> Self {
        Self::new(End::Panic(message.into()))
    }

    /// Replies after `delay` on Tokio's clock; spans are accepted then.
    #[must_use]
    pub fn delayed(delay: Duration, mut reply: Self) -> Self {
        reply.waits.insert(0, Wait::Delay(delay));
        reply
    }

    /// Replies when the gate lets it through; spans are accepted then.
    #[must_use]
    pub fn gated(gate: &Gate, mut reply: Self) -> Self {
        reply.waits.insert(0, Wait::Gate(gate.clone()));
        reply
    }

    /// Adds how long to stay away to an error. What is no error stays as it is.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        if let End::Failed(error) = self.end {
            self.end = End::Failed(error.with_retry_after(delay));
        }
        self
    }

    /// Accepts every span although the reply does not say so: it was lost on the way.
    #[must_use]
    pub fn after_accepting(mut self) -> Self {
        self.accepts_anyway = true;
        self
    }

    const fn new(end: End) -> Self {
        Self {
            waits: vec![],
            end,
            accepts_anyway: false,
        }
    }
}
