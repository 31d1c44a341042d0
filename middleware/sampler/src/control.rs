use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::rate::{Rate, Threshold};

/// The live switch over sampling: on or off, and the root rate.
///
/// Clones share one state; a change is seen by the next span that starts, on any thread. The switch
/// and the rate are read together in one atomic load, so a span never sees half of a change.
///
/// Off means that no span is recorded, whatever the caller asked for; the Towline layers pass a
/// caller's trace context on all the same. The default is enabled at [`Rate::NEVER`].
#[derive(Clone)]
pub struct Control {
    /// The threshold in the low 57 bits, [`ENABLED`] at the top.
    state: Arc<AtomicU64>,
}

/// The switch and the threshold at one instant.
#[derive(Clone, Copy)]
pub(crate) struct State(u64);

// === impl Control ===

impl Control {
    /// An enabled control with this root rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            state: Arc::new(AtomicU64::new(ENABLED | rate.threshold().as_u64())),
        }
    }

    /// Whether spans are recorded at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.load().is_enabled()
    }

    /// The root rate in force.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.load().threshold().rate()
    }

    /// Switches recording on or off; the rate stays as it is.
    pub fn set_enabled(&self, enabled: bool) {
        if enabled {
            self.state.fetch_or(ENABLED, Ordering::Relaxed);
        } else {
            self.state.fetch_and(!ENABLED, Ordering::Relaxed);
        }
    }

    /// Sets the root rate; the switch stays as it is.
    pub fn set_rate(&self, rate: Rate) {
        let threshold = rate.threshold().as_u64();
        let _ = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                Some((state & ENABLED) | threshold)
            });
    }

    pub(crate) fn load(&self) -> State {
        State(self.state.load(Ordering::Relaxed))
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new(Rate::NEVER)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.load();
        f.debug_struct("Control")
            .field("enabled", &state.is_enabled())
            .field("rate", &state.threshold().rate())
            .finish()
    }
}

// === impl State ===

impl State {
    pub(crate) fn is_enabled(self) -> bool {
        self.0 & ENABLED != 0
    }

    pub(crate) fn threshold(self) -> Threshold {
        Threshold::from_bits(self.0 & !ENABLED)
    }
}

const ENABLED: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_and_the_rate_do_not_disturb_each_other() {
        let control = Control::new(Rate::per_million(123_456).unwrap());
        let clone = control.clone();
        clone.set_enabled(false);
        assert!(!control.is_enabled());
        assert_eq!(control.rate().as_per_million(), 123_456);
        clone.set_rate(Rate::NEVER);
        assert!(!control.is_enabled());
        clone.set_rate(Rate::ALWAYS);
        clone.set_enabled(true);
        assert!(control.is_enabled());
        assert_eq!(control.rate(), Rate::ALWAYS);
    }

    #[test]
    fn default_is_enabled_and_records_only_what_a_caller_asks_for() {
        let control = Control::default();
        assert!(control.is_enabled());
        assert_eq!(control.rate(), Rate::NEVER);
        assert_eq!(
            format!("{control:?}"),
            "Control { enabled: true, rate: Rate(0) }"
        );
    }
}
