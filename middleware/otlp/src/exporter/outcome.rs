use std::error::Error;
use std::fmt;

use super::Stats;

/// Why a flush did not end with every span delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushError {
    kind: FlushErrorKind,
    lost_spans: u64,
}

/// The cases of [`FlushError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlushErrorKind {
    /// The deadline passed first. What was not lost is still being delivered.
    Timeout,
    /// Batches were refused or could not be delivered: see [`lost_spans`](FlushError::lost_spans).
    Lost,
    /// The exporter was shut down.
    Shutdown,
}

/// How a shutdown ended that went well: every span was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The final counts. Spans that end later are counted as dropped, so that
    /// [`Exporter::stats`](super::Exporter::stats) may go on growing.
    pub stats: Stats,
}

/// How a shutdown ended that lost spans. The exporter is shut down all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    kind: ShutdownErrorKind,
    lost_spans: u64,
    stats: Box<Stats>,
}

/// The cases of [`ShutdownError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownErrorKind {
    /// The deadline passed first: what was held or on its way is lost.
    Timeout,
    /// Batches were refused or could not be delivered.
    Lost,
    /// The export thread did not answer, or ended before its time.
    Stopped,
    /// A part that was to be supplied late never came.
    NotReady,
}

// === impl FlushError ===

impl FlushError {
    pub(super) const fn new(kind: FlushErrorKind, lost_spans: u64) -> Self {
        Self { kind, lost_spans }
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> FlushErrorKind {
        self.kind
    }

    /// Spans that were lost in the meantime, of those that had ended before.
    #[must_use]
    pub const fn lost_spans(&self) -> u64 {
        self.lost_spans
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FlushErrorKind::Timeout => {
                f.write_str("spans were not all delivered before the deadline of the flush")?
            }
            FlushErrorKind::Lost => f.write_str("spans could not be delivered")?,
            FlushErrorKind::Shutdown => f.write_str("the span exporter is shut down")?,
        }
        write!(f, ", {} lost", self.lost_spans)
    }
}

impl Error for FlushError {}

// === impl Summary ===

impl Summary {
    pub(super) const fn new(stats: Stats) -> Self {
        Self { stats }
    }
}

// === impl ShutdownError ===

impl ShutdownError {
    pub(super) fn new(kind: ShutdownErrorKind, lost_spans: u64, stats: Stats) -> Self {
        Self {
            kind,
            lost_spans,
            stats: Box::new(stats),
        }
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> ShutdownErrorKind {
        self.kind
    }

    /// Spans that had ended before the shutdown and were lost during it.
    #[must_use]
    pub const fn lost_spans(&self) -> u64 {
        self.lost_spans
    }

    /// The final counts.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        *self.stats
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ShutdownErrorKind::Timeout => {
                f.write_str("spans were not all delivered before the deadline of the shutdown")?
            }
            ShutdownErrorKind::Lost => f.write_str("spans could not be delivered")?,
            ShutdownErrorKind::Stopped => f.write_str("the export thread did not answer")?,
            ShutdownErrorKind::NotReady => {
                f.write_str("the transport or the resource that spans waited for never came")?
            }
        }
        write!(f, ", {} lost", self.lost_spans)
    }
}

impl Error for ShutdownError {}
