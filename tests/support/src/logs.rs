use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A `tracing` subscriber that counts events by level.
///
/// Clones share the counts. It is meant for one thread at a time:
/// [`observe`](Self::observe) makes it the subscriber of this thread while a closure runs; a
/// [`tracing::Dispatch`] of a clone takes it elsewhere.
///
/// ```
/// use towline_test_support::LogCounter;
/// use tracing::Level;
///
/// let logs = LogCounter::new();
/// logs.observe(|| tracing::warn!("the backend is away"));
/// assert_eq!(logs.count(Level::WARN), 1);
/// assert_eq!(logs.total(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogCounter {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    error: AtomicUsize,
    warn: AtomicUsize,
    info: AtomicUsize,
    debug: AtomicUsize,
    trace: AtomicUsize,
    spans: AtomicU64,
}

impl LogCounter {
    /// A counter at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts what `work` logs on this thread.
    pub fn observe<R>(&self, work: impl FnOnce() -> R) -> R {
        tracing::subscriber::with_default(self.clone(), work)
    }

    /// How many events of this level there were.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.of(&level).load(Ordering::SeqCst)
    }

    /// How many events of any level there were.
    #[must_use]
    pub fn total(&self) -> usize {
        [
            Level::ERROR,
            Level::WARN,
            Level::INFO,
            Level::DEBUG,
            Level::TRACE,
        ]
        .into_iter()
        .map(|level| self.count(level))
        .sum()
    }

    /// How many `tracing` spans there were.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.counts.spans.load(Ordering::SeqCst)
    }

    fn of(&self, level: &Level) -> &AtomicUsize {
        match *level {
            Level::ERROR => &self.counts.error,
            Level::WARN => &self.counts.warn,
            Level::INFO => &self.counts.info,
            Level::DEBUG => &self.counts.debug,
            Level::TRACE => &self.counts.trace,
        }
    }
}

impl Subscriber for LogCounter {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(self.counts.spans.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.of(event.metadata().level())
            .fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
