//! What is changed while the program serves is told, once for each change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use towline_http::Filters;
use towline_sampler::{Change, Control};

/// Has the log told of every change, until tracing ends or nobody holds it any more.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    has_ended: AtomicBool,
    /// Somebody else tells what is being changed.
    is_silent: AtomicBool,
}

// === impl Teller ===

impl Teller {
    pub(crate) fn watch(&self, control: &Control, filters: &Filters) {
        let state = Arc::downgrade(&self.state);
        control.on_change(move |change| {
            if is_told(&state) {
                tell(change);
            }
        });
        let state = Arc::downgrade(&self.state);
        filters.on_change(move |filters| {
            if is_told(&state) {
                tracing::info!(target: TARGET, filters = filters.len(), "other requests are filtered out");
            }
        });
    }

    /// The end of tracing is not a change.
    pub(crate) fn end(&self) {
        self.state.has_ended.store(true, Ordering::Relaxed);
    }

    /// Makes changes that the caller tells in one line.
    pub(crate) fn silently<T>(&self, change: impl FnOnce() -> T) -> T {
        self.state.is_silent.store(true, Ordering::Relaxed);
        let result = change();
        self.state.is_silent.store(false, Ordering::Relaxed);
        result
    }
}

fn is_told(state: &Weak<State>) -> bool {
    state.upgrade().is_some_and(|state| {
        !state.has_ended.load(Ordering::Relaxed) && !state.is_silent.load(Ordering::Relaxed)
    })
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
