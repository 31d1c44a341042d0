//! What is changed while the program serves is told, once for each change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use towline_http::Filters;
use towline_sampler::{Change, Control};

/// Tells the log of every change, until tracing ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Teller {
    ended: Arc<AtomicBool>,
}

impl Teller {
    pub(crate) fn watch(&self, control: &Control, filters: &Filters) {
        let teller = self.clone();
        control.on_change(move |change| teller.tell(change));
        let teller = self.clone();
        filters.on_change(move |filters| {
            if !teller.has_ended() {
                tracing::info!(target: TARGET, filters = filters.len(), "other requests are filtered out");
            }
        });
    }

    /// The end of tracing is not a change.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn tell(&self, change: Change) {
        if self.has_ended() {
            return;
        }
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
}

const TARGET: &str = "towline";
