use crate::buffer::Snapshot;

/// Where every span has gone, at one moment.
///
/// Each span that ended and was sampled is in exactly one place:
/// `ended = exported + dropped.total() + held + in_flight`, in every value of this type.
///
/// # Examples
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use std::time::Duration;
/// use towline_otlp::{Discard, Exporter};
///
/// let (processor, exporter) = Exporter::builder().transport(Discard::new()).build()?;
/// let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
/// provider.tracer("docs").in_span("one", |_| {});
/// assert_eq!(exporter.stats().held, 1);
///
/// exporter.blocking_flush(Duration::from_secs(5))?;
/// let stats = exporter.stats();
/// assert_eq!((stats.ended, stats.exported), (1, 1));
/// assert_eq!(stats.ended, stats.exported + stats.dropped.total() + stats.held + stats.in_flight);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sampled spans that ended, ever.
    pub ended: u64,
    /// Spans that the backend took.
    pub exported: u64,
    /// Spans that were given up, by reason.
    pub dropped: Dropped,
    /// Spans that wait in the buffer now.
    pub held: u64,
    /// Spans in batches that are being sent now, or wait to be sent again.
    pub in_flight: u64,
    /// Memory held for spans now, in bytes: the buffer, used or kept for use, and batches in
    /// flight. Never more than [`buffer_bytes`](crate::ExporterBuilder::buffer_bytes).
    pub buffer_bytes: usize,
    /// Attempts to send a batch that failed, ever: retries count one by one.
    pub failed_attempts: u64,
    /// Spans that others sent through [`ExporterService`](crate::ExporterService). They are in
    /// none of the counts above but [`failed_attempts`](Self::failed_attempts).
    pub forwarded: Forwarded,
}

/// What became of spans that came in batches of others: see
/// [`ExporterService`](crate::ExporterService).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// Spans that the backend took.
    pub exported: u64,
    /// Spans that the backend refused out of batches that it took.
    pub rejected: u64,
    /// Spans of batches that were not taken, or for whose answer nobody waited any more.
    pub failed: u64,
    /// Spans that were refused at once, since too much was on its way.
    pub overloaded: u64,
    /// Spans that are on their way now.
    pub in_flight: u64,
}

/// Spans that were given up, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The buffer had no room: the backend is away or too slow.
    pub buffer_full: u64,
    /// The span, or a batch of one, is larger than the buffer or the backend takes.
    pub too_large: u64,
    /// The backend refused them, in a way that OTLP does not let us retry.
    pub refused: u64,
    /// The batch could not be delivered, and the time for retries is over.
    pub failed: u64,
    /// They ended after shutdown, or could not be delivered before its deadline.
    pub shutdown: u64,
}

// === impl Stats ===

impl Stats {
    pub(crate) fn new(snapshot: &Snapshot, failed_attempts: u64, forwarded: Forwarded) -> Self {
        let ledger = &snapshot.ledger;
        Self {
            ended: ledger.ended,
            exported: ledger.exported,
            dropped: Dropped {
                buffer_full: ledger.lost.buffer_full,
                too_large: ledger.lost.too_large,
                refused: ledger.lost.refused,
                failed: ledger.lost.failed,
                shutdown: ledger.lost.shutdown,
            },
            held: ledger.held,
            in_flight: ledger.in_flight,
            buffer_bytes: snapshot.held_bytes,
            failed_attempts,
            forwarded,
        }
    }
}

// === impl Dropped ===

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.buffer_full + self.too_large + self.refused + self.failed + self.shutdown
    }
}
