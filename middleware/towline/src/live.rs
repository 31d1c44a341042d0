//! What is changed while the program serves is told, once for each change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use towline_http::Filters;
use towline_sampler::{Change, Control};

/// Has the log told of every change, until tracing ends or nobody holds it any more.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    ended: Arc<AtomicBool>,
}

// === impl Teller ===

impl Teller {
    pub(crate) fn watch(&self, control: &Control, filters: &Filters) {
        let ended = Arc::downgrade(&self.ended);
        control.on_change(move |change| {
            if lasts(&ended) {
                tell(change);
            }
        });
        let ended = Arc::downgrade(&self.ended);
        filters.on_change(move |filters| {
            if lasts(&ended) {
                tracing::info!(target: TARGET, filters = filters.len(), "other requests are filtered out");
            }
        });
    }

    /// The end of tracing is not a change.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn lasts(ended: &Weak<AtomicBool>) -> bool {
    ended
        .upgrade()
        .is_some_and(|ended| !ended.load(Ordering::Relaxed))
}

fn tell(change: Change) {
    match change {
        Change::Enabled(true) => tracing::info!(target: TARGET, "recording is switched on"),
        Change::Enabled(false) => tracing::info!(target: TARGET, "recording is switched off"),
        Change::Rate(rate) => tracing::info!(
            target: TARGET,
            sampling_rate_per_million = rate.as_per_million(),
            "the sampling rate is another"
        ),
        Change::RemoteLimit(Some(limit)) => {
            tracing::info!(target: TARGET, %limit, "traces that remote callers ask for are limited");
        }
        Change::RemoteLimit(None) => {
            tracing::info!(target: TARGET, "traces that remote callers ask for are not limited");
        }
        change => tracing::info!(target: TARGET, ?change, "tracing has been changed"),
    }
}

const TARGET: &str = "towline";
