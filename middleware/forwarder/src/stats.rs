use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use towline_otlp::Receipt;

use crate::failure::{Failure, FailureKind};

/// What has become of requests and of the spans in them, at one moment.
///
/// Each is in exactly one place, in every value of this type:
///
/// - `requests.received = requests.acknowledged + requests.refused.total() + requests.failed +
///   requests.cancelled + requests.in_flight`
/// - `spans.received = spans.forwarded + spans.rejected + spans.discarded + spans.rate_limited +
///   spans.failed + spans.cancelled + spans.in_flight`
///
/// Spans are received when their request has been read and is an OTLP request. What was refused
/// before holds nobody knows how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests.
    pub requests: RequestStats,
    /// The spans in requests that were read.
    pub spans: SpanStats,
}

/// What has become of requests: see [`Stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestStats {
    /// Requests that came, ever.
    pub received: u64,
    /// Requests that were answered with success: taken by the backend, or empty, or discarded since
    /// there is no exporter.
    pub acknowledged: u64,
    /// Requests that were refused for what they are, by reason.
    pub refused: Refused,
    /// Requests that could not be delivered, or not in time. The client was told so.
    pub failed: u64,
    /// Requests whose client went away before it had its answer.
    pub cancelled: u64,
    /// Requests that are being read or delivered now.
    pub in_flight: u64,
}

/// Requests that were refused, by reason. A client that is told so knows that the spans are lost, or
/// may come again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Nobody knew who sent them; with [`OnRefusal::Discard`](crate::OnRefusal::Discard) as well,
    /// where the client is told that all is well.
    pub unauthenticated: u64,
    /// The sender was known, and must not; also with
    /// [`OnRefusal::Discard`](crate::OnRefusal::Discard).
    pub unauthorized: u64,
    /// Not what OTLP has: another method, content type or compression, broken frames, garbage.
    pub malformed: u64,
    /// More bytes or spans than a request may have.
    pub too_large: u64,
    /// The sender had sent too many spans of late.
    pub rate_limited: u64,
    /// There were too many requests, or too many bytes of them, at that time.
    pub busy: u64,
}

/// What has become of spans: see [`Stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanStats {
    /// Spans in requests that were read, ever.
    pub received: u64,
    /// Spans that the exporter delivered.
    pub forwarded: u64,
    /// Spans that the backend refused out of requests that it took. The client was told how many.
    pub rejected: u64,
    /// Spans that were acknowledged and thrown away, since there is no exporter.
    pub discarded: u64,
    /// Spans of senders that had sent too many of late.
    pub rate_limited: u64,
    /// Spans of requests that could not be delivered, or not in time.
    pub failed: u64,
    /// Spans of requests whose client went away before it had its answer. Some may have arrived.
    pub cancelled: u64,
    /// Spans that are being delivered now.
    pub in_flight: u64,
}

/// The accounts, kept under one short lock for each step of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Stats>>);

/// One request in the accounts. Dropped before it is settled, its client has gone away.
#[derive(Debug)]
pub(crate) struct Account {
    ledger: Ledger,
    spans: u64,
    settled: bool,
}

// === impl Stats ===

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unauthenticated
            + self.unauthorized
            + self.malformed
            + self.too_large
            + self.rate_limited
            + self.busy
    }
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn stats(&self) -> Stats {
        *self.lock()
    }

    /// A request has come.
    pub(crate) fn open(&self) -> Account {
        let mut stats = self.lock();
        stats.requests.received += 1;
        stats.requests.in_flight += 1;
        Account {
            ledger: self.clone(),
            spans: 0,
            settled: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        // Nothing that holds it can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Account ===

impl Account {
    /// The request has been read, and there are so many spans in it.
    pub(crate) fn received(&mut self, spans: usize) {
        self.spans = spans as u64;
        let mut stats = self.ledger.lock();
        stats.spans.received += self.spans;
        stats.spans.in_flight += self.spans;
    }

    /// It was acknowledged.
    pub(crate) fn delivered(mut self, receipt: &Receipt) {
        let spans = self.spans;
        let mut stats = self.settle();
        let rejected = (receipt.rejected_spans() as u64).min(spans);
        stats.requests.acknowledged += 1;
        stats.spans.forwarded += spans - rejected;
        stats.spans.rejected += rejected;
    }

    /// It was acknowledged, and there is nowhere to send it.
    pub(crate) fn discarded(mut self) {
        let spans = self.spans;
        let mut stats = self.settle();
        stats.requests.acknowledged += 1;
        stats.spans.discarded += spans;
    }

    pub(crate) fn failed(mut self, failure: &Failure) {
        let spans = self.spans;
        let delivered = (failure.delivered_spans() as u64).min(spans);
        let mut stats = self.settle();
        stats.spans.forwarded += delivered;
        let lost = spans - delivered;
        match failure.kind() {
            FailureKind::RateLimited => stats.spans.rate_limited += lost,
            _ => stats.spans.failed += lost,
        }
        let refused = &mut stats.requests.refused;
        let counter = match failure.kind() {
            FailureKind::Unauthenticated => &mut refused.unauthenticated,
            FailureKind::PermissionDenied => &mut refused.unauthorized,
            FailureKind::Method
            | FailureKind::MediaType
            | FailureKind::Encoding
            | FailureKind::UnknownMethod
            | FailureKind::Framing
            | FailureKind::Cardinality
            | FailureKind::Malformed => &mut refused.malformed,
            // The backend's limit is not ours: what we have taken apart is known.
            FailureKind::TooLarge if spans == 0 => &mut refused.too_large,
            FailureKind::RateLimited => &mut refused.rate_limited,
            FailureKind::Busy => &mut refused.busy,
            FailureKind::Broken => &mut stats.requests.cancelled,
            FailureKind::TooLarge
            | FailureKind::Idle
            | FailureKind::Deadline
            | FailureKind::Unavailable
            | FailureKind::BackendRefused
            | FailureKind::Internal => &mut stats.requests.failed,
        };
        *counter += 1;
    }

    /// Takes it out of what is in flight; it is put elsewhere under the same lock.
    fn settle(&mut self) -> MutexGuard<'_, Stats> {
        self.settled = true;
        let mut stats = self.ledger.lock();
        stats.requests.in_flight -= 1;
        stats.spans.in_flight -= self.spans;
        stats
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.settled {
            let spans = self.spans;
            let mut stats = self.settle();
            stats.requests.cancelled += 1;
            stats.spans.cancelled += spans;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_spans_are_rejected_than_came() {
        let ledger = Ledger::default();
        let mut account = ledger.open();
        account.received(2);
        account.delivered(&Receipt::partial(5, ""));
        let spans = ledger.stats().spans;
        assert_eq!(
            (spans.forwarded, spans.rejected, spans.in_flight),
            (0, 2, 0)
        );
    }
}
