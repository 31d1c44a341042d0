//! The way of a request, the same for every protocol.

use std::borrow::Cow;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body::Body;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tower::ServiceExt;
use towline_otlp::{Batch, BoxTransport, Receipt};

use crate::authorize::Authorize;
use crate::failure::{Failure, FailureKind};
use crate::limits::{Bounded, Held, Limits, Place, Rates, Senders};
use crate::notices::Notices;
use crate::receive::{BoxError, Sink, receive};
use crate::stats::{Account, Ledger, Stats};
use crate::{Identity, OnRefusal, Stamp, json, stamp};

/// What all requests share.
pub(crate) struct Intake {
    pub(crate) authorize: Box<dyn Authorize>,
    pub(crate) on_refusal: OnRefusal,
    /// Not every transport can be shared: each request takes a clone.
    pub(crate) exporter: Option<Mutex<BoxTransport>>,
    pub(crate) key: Cow<'static, str>,
    pub(crate) place: stamp::Place,
    pub(crate) limits: Limits,
    pub(crate) senders: Senders,
    /// For work that takes long: no more of it at a time than there are processors. Others need the
    /// threads for it as well.
    pub(crate) workers: Arc<Semaphore>,
    pub(crate) rates: Option<Rates>,
    pub(crate) notices: Notices,
    pub(crate) ledger: Ledger,
    /// The gRPC methods that are served, as paths.
    pub(crate) methods: [Cow<'static, str>; 2],
}

/// In which form the spans come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

/// A request whose head has been read.
pub(crate) struct Incoming<B, S> {
    pub(crate) parts: Parts,
    pub(crate) body: B,
    pub(crate) format: Format,
    /// How long its client waits, if it has said so.
    pub(crate) timeout: Option<Duration>,
    /// What stands around the message in the body, at least.
    pub(crate) framing_bytes: usize,
    /// Makes what reads the body.
    pub(crate) sink: S,
}

/// A request that is answered with success.
enum Taken {
    Delivered(Receipt),
    /// There is no exporter.
    Discarded,
    /// Refused, and its client is not told so.
    Ignored(Failure),
}

// === impl Intake ===

impl Intake {
    pub(crate) fn stats(&self) -> Stats {
        self.ledger.stats()
    }

    /// A request has come whose head can be answered at once, or is to be read.
    pub(crate) async fn answer<B, S, K>(
        &self,
        incoming: Result<Incoming<B, S>, Failure>,
    ) -> Result<Receipt, Failure>
    where
        B: Body<Error: Into<BoxError>>,
        S: FnOnce(Held) -> Result<K, Failure>,
        K: Sink,
    {
        let mut account = self.ledger.open();
        let result = match incoming {
            Ok(incoming) => self.take(incoming, &mut account).await,
            Err(failure) => Err(failure),
        };
        match result {
            Ok(Taken::Delivered(receipt)) => {
                account.delivered(&receipt);
                Ok(receipt)
            }
            Ok(Taken::Discarded) => {
                account.discarded();
                Ok(Receipt::accepted())
            }
            Ok(Taken::Ignored(failure)) => {
                account.failed(&failure);
                Ok(Receipt::accepted())
            }
            Err(failure) => {
                account.failed(&failure);
                Err(failure)
            }
        }
    }

    async fn take<B, S, K>(
        &self,
        incoming: Incoming<B, S>,
        account: &mut Account,
    ) -> Result<Taken, Failure>
    where
        B: Body<Error: Into<BoxError>>,
        S: FnOnce(Held) -> Result<K, Failure>,
        K: Sink,
    {
        let identity = match self.authorize.authorize(&incoming.parts) {
            Ok(identity) => identity,
            Err(refusal) => {
                self.notices.refused(&refusal, self.on_refusal);
                return match self.on_refusal {
                    OnRefusal::Reject => Err(refusal.into()),
                    OnRefusal::Discard => Ok(Taken::Ignored(refusal.into())),
                };
            }
        };
        let place = self.senders.enter(identity.as_str())?;
        if let Some(rates) = &self.rates {
            rates.check(identity.as_str())?;
        }
        let limit = self.limits.max_request_bytes;
        let announced = incoming.body.size_hint().lower();
        if announced > (limit + incoming.framing_bytes) as u64 {
            return Err(Failure::too_large(limit));
        }
        let time = match incoming.timeout {
            Some(asked) => asked.min(self.limits.max_timeout),
            None => self.limits.timeout,
        };
        // Whatever is dropped here is given up: the exporter's future too.
        timeout(
            time,
            self.read_and_ship(incoming, &place, &identity, account),
        )
        .await
        .unwrap_or_else(|_| {
            let message = "the spans could not be delivered in time; try again";
            Err(Failure::new(FailureKind::Deadline, message))
        })
    }

    async fn read_and_ship<B, S, K>(
        &self,
        incoming: Incoming<B, S>,
        place: &Place,
        identity: &Identity,
        account: &mut Account,
    ) -> Result<Taken, Failure>
    where
        B: Body<Error: Into<BoxError>>,
        S: FnOnce(Held) -> Result<K, Failure>,
        K: Sink,
    {
        let sink = (incoming.sink)(place.memory())?;
        let (request, held) = receive(incoming.body, sink, self.limits.idle_timeout).await?;
        let (batch, held) = self.stamp(identity, request, held, incoming.format).await?;
        account.received(batch.spans());
        if batch.is_empty() {
            return Ok(Taken::Delivered(Receipt::accepted()));
        }
        if let Some(rates) = &self.rates {
            rates.take(identity.as_str(), batch.spans())?;
        }
        let Some(exporter) = &self.exporter else {
            return Ok(Taken::Discarded);
        };
        let exporter = {
            let exporter = exporter.lock().unwrap_or_else(PoisonError::into_inner);
            exporter.clone()
        };
        let spans = batch.spans();
        let answer = exporter.oneshot(batch).await;
        drop(held);
        match answer {
            // There were not more than that.
            Ok(receipt) if receipt.rejected_spans() > spans => {
                let message = receipt.message().unwrap_or_default();
                Ok(Taken::Delivered(Receipt::partial(spans, message)))
            }
            Ok(receipt) => Ok(Taken::Delivered(receipt)),
            Err(error) => Err((&error).into()),
        }
    }

    /// Says of every span who sent it.
    async fn stamp(
        &self,
        identity: &Identity,
        request: Bytes,
        held: Held,
        format: Format,
    ) -> Result<(Batch, Held), Failure> {
        let limit = self.limits.max_request_bytes;
        let stamp = Stamp::new(identity)
            .key(self.key.clone())
            .place(self.place)
            .max_spans(self.limits.max_spans)
            // With the stamp it is larger, and that is not its sender's doing.
            .max_bytes(limit.saturating_mul(2));
        let is_large =
            request.len() > INLINE_BYTES || stamp.most_bytes(request.len()) > INLINE_STAMPED_BYTES;
        let work = move || {
            let (request, mut held) = match format {
                Format::Protobuf => (request, held),
                Format::Json => {
                    let made = json::to_protobuf(&request, Bounded::new(limit, held.another()))?;
                    drop((request, held));
                    made
                }
            };
            let batch = stamp.apply_within(&request, |more| {
                held.resize(held.amount().saturating_add(more))
            })?;
            drop(request);
            held.resize(batch.len_bytes())?;
            Ok((batch, held))
        };
        if !is_large {
            return work();
        }
        // Some tens of milliseconds, which others on this thread need not wait for.
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let work = spawn_blocking(move || {
            let _worker = worker;
            work()
        });
        work.await.unwrap_or_else(|error| {
            // Never begun, if there is no panic: the runtime shuts down.
            let kind = match error.is_panic() {
                true => FailureKind::Internal,
                false => FailureKind::Unavailable,
            };
            Err(Failure::new(kind, "the request could not be read"))
        })
    }
}

/// How many may work at a time on what takes long.
pub(crate) fn workers() -> Arc<Semaphore> {
    let workers = available_parallelism().map_or(1, NonZero::get);
    Arc::new(Semaphore::new(workers))
}

/// Up to this size a request is read where it is: it takes less than a millisecond.
const INLINE_BYTES: usize = 256 << 10;

/// And if it cannot become more than this: it takes some milliseconds then.
const INLINE_STAMPED_BYTES: usize = 16 << 20;
