//! The way of a request, the same for every protocol.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
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
use crate::limits::{Budget, Held, Limits, Rates};
use crate::notices::Notices;
use crate::receive::{BoxError, Sink, receive};
use crate::stats::{Account, Ledger, Stats};
use crate::{Identity, OnRefusal, Place, Stamp, json};

/// What all requests share.
pub(crate) struct Intake {
    pub(crate) authorize: Box<dyn Authorize>,
    pub(crate) on_refusal: OnRefusal,
    /// Not every transport can be shared: each request takes a clone.
    pub(crate) exporter: Option<Mutex<BoxTransport>>,
    pub(crate) key: Cow<'static, str>,
    pub(crate) place: Place,
    pub(crate) limits: Limits,
    pub(crate) requests: Semaphore,
    pub(crate) budget: Budget,
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
        let _place = self.requests.try_acquire().map_err(|_| Failure::busy())?;
        if let Some(rates) = &self.rates {
            rates.check(identity.as_str())?;
        }
        let limit = self.limits.max_request_bytes;
        let announced = incoming.body.size_hint().lower();
        if announced > (limit + incoming.framing_bytes) as u64 {
            return Err(Failure::too_large(limit));
        }
        let time = incoming
            .timeout
            .unwrap_or(self.limits.timeout)
            .min(self.limits.max_timeout);
        // Whatever is dropped here is given up: the exporter's future too.
        timeout(time, self.read_and_ship(incoming, &identity, account))
            .await
            .unwrap_or_else(|_| {
                let message = "the spans could not be delivered in time; try again";
                Err(Failure::new(FailureKind::Deadline, message))
            })
    }

    async fn read_and_ship<B, S, K>(
        &self,
        incoming: Incoming<B, S>,
        identity: &Identity,
        account: &mut Account,
    ) -> Result<Taken, Failure>
    where
        B: Body<Error: Into<BoxError>>,
        S: FnOnce(Held) -> Result<K, Failure>,
        K: Sink,
    {
        let sink = (incoming.sink)(self.budget.hold())?;
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
        let answer = exporter.oneshot(batch).await;
        drop(held);
        answer
            .map(Taken::Delivered)
            .map_err(|error| (&error).into())
    }

    /// Says of every span who sent it.
    async fn stamp(
        &self,
        identity: &Identity,
        request: Bytes,
        mut held: Held,
        format: Format,
    ) -> Result<(Batch, Held), Failure> {
        let limit = self.limits.max_request_bytes;
        let stamp = Stamp::new(identity)
            .key(self.key.clone())
            .place(self.place)
            .max_spans(self.limits.max_spans)
            // With the stamp it is larger, and that is not its sender's doing.
            .max_bytes(limit.saturating_mul(2));
        let is_large = request.len() > INLINE_BYTES;
        let work = move || {
            let request = match format {
                Format::Protobuf => request,
                Format::Json => Bytes::from(json::to_protobuf(&request, limit)?),
            };
            let batch = stamp.apply(&request)?;
            drop(request);
            held.resize(batch.len_bytes())?;
            Ok((batch, held))
        };
        if !is_large {
            return work();
        }
        // Some tens of milliseconds, which others on this thread need not wait for.
        spawn_blocking(work).await.unwrap_or_else(|_| {
            Err(Failure::new(
                FailureKind::Internal,
                "the request could not be read",
            ))
        })
    }
}

/// Up to this size a request is read where it is: it takes less than a millisecond.
const INLINE_BYTES: usize = 256 << 10;
