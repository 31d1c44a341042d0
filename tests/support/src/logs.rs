use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A `tracing` subscriber that counts events by level, and keeps their lines.
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
/// assert_eq!(logs.lines()[0].message, "the backend is away");
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
    lines: Mutex<Vec<LogLine>>,
}

/// An event that a [`LogCounter`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// Its target: the module it was logged from, where it names none.
    pub target: String,
    /// Its message, without the fields; empty where it has none.
    pub message: String,
    /// The other fields in their order, each with its value as `Debug` writes it.
    pub fields: Vec<(&'static str, String)>,
}

// === impl LogCounter ===

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

    /// Every event of any level, in the order in which they came.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        let lines = self.counts.lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every event of this level.
    #[must_use]
    pub fn lines_at(&self, level: Level) -> Vec<LogLine> {
        let mut lines = self.lines();
        lines.retain(|line| line.level == level);
        lines
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
        // Not under the lock: a value's `Debug` may log.
        let line = LogLine::of(event);
        let lines = self.counts.lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

// === impl LogLine ===

impl LogLine {
    fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: vec![],
        };
        event.record(&mut line);
        line
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_level_target_message_and_fields() {
        let logs = LogCounter::new();
        logs.observe(|| {
            tracing::info!(target: "exporter", peer = "a:1", spans = 3, "lost {}", "it");
            tracing::warn!(found = true);
        });
        let lines = logs.lines();
        let [info, warn] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!(
            *info,
            LogLine {
                level: Level::INFO,
                target: "exporter".to_owned(),
                message: "lost it".to_owned(),
                fields: vec![("peer", "\"a:1\"".to_owned()), ("spans", "3".to_owned())],
            }
        );
        assert_eq!(
            (warn.target.as_str(), warn.message.as_str()),
            (module_path!(), "")
        );
        assert_eq!(logs.lines_at(Level::WARN), std::slice::from_ref(warn));
        assert_eq!((logs.count(Level::WARN), logs.total()), (1, 2));
    }
}
