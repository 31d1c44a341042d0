use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TraceId;

use crate::limit::Limit;
use crate::limiter::Limiter;
use crate::rate::{Rate, Threshold};

/// The live switch over sampling: on or off, the root rate, and how much strangers may ask for.
///
/// Clones share one state; a change is seen by the next span that starts, on any thread. The switch
/// and the rate are read together in one atomic load, so a span never sees half of a change.
///
/// Off means that no span is recorded, whatever the caller asked for; the Towline layers pass a
/// caller's trace context on all the same. The default is enabled at [`Rate::NEVER`].
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    /// The threshold in the low 57 bits, [`ENABLED`] and [`LIMITED`] at the top.
    state: AtomicU64,
    /// In use while [`LIMITED`] is set.
    remote: Limiter,
    observer: Mutex<Option<Observer>>,
}

type Observer = Arc<dyn Fn(Change) + Send + Sync>;

/// What has been changed in a [`Control`], and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Recording was switched on or off.
    Enabled(bool),
    /// The root rate.
    Rate(Rate),
    /// The limit on traces that remote callers ask for.
    RemoteLimit(Option<Limit>),
}

/// The switch and the threshold at one instant.
#[derive(Clone, Copy)]
pub(crate) struct State(u64);

// === impl Control ===

impl Control {
    /// An enabled control with this root rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::on(rate, Limiter::new(NOTHING))
    }

    /// The same with a clock of one's own for the [limit](Self::set_remote_limit), for tests: it
    /// answers how long it is since some moment, and never goes back.
    #[must_use]
    pub fn with_clock(rate: Rate, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::on(rate, Limiter::with_clock(NOTHING, clock))
    }

    fn on(rate: Rate, remote: Limiter) -> Self {
        Self(Arc::new(Shared {
            state: AtomicU64::new(ENABLED | rate.threshold().as_u64()),
            remote,
            observer: Mutex::default(),
        }))
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

    /// How many traces a second may be recorded because a remote caller asks for them. None by
    /// default: all of them are.
    #[must_use]
    pub fn remote_limit(&self) -> Option<Limit> {
        self.load().is_limited().then(|| self.0.remote.limit())
    }

    /// Switches recording on or off; the rate stays as it is.
    pub fn set_enabled(&self, enabled: bool) {
        let before = if enabled {
            self.0.state.fetch_or(ENABLED, Ordering::Relaxed)
        } else {
            self.0.state.fetch_and(!ENABLED, Ordering::Relaxed)
        };
        if State(before).is_enabled() != enabled {
            self.tell(Change::Enabled(enabled));
        }
    }

    /// Sets the root rate; the switch stays as it is.
    pub fn set_rate(&self, rate: Rate) {
        let threshold = rate.threshold().as_u64();
        let replaced = |state| Some((state & !THRESHOLD) | threshold);
        let before = self
            .0
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, replaced);
        let (Ok(before) | Err(before)) = before;
        if State(before).threshold() != rate.threshold() {
            self.tell(Change::Rate(rate));
        }
    }

    /// Limits how many traces a second are recorded because a remote caller has set the *sampled*
    /// flag; `None` takes the limit away, which is the default.
    ///
    /// W3C Trace Context [asks] that the flag be respected and that its abuse be prevented. Above the
    /// limit the local [rate](Self::rate) decides about such a trace, by its trace id, so that all
    /// services with that rate agree. One that is not recorded then is passed on with the flag
    /// cleared: the decision is definite, and the flag is to say so.
    ///
    /// Counted are traces and not requests, as far as that can be told; [`Limiter`] says how. Traces
    /// that begin here, or whose parent is in this process, or whose caller does not sample, are
    /// neither counted nor limited, and pay nothing for the check.
    ///
    /// It stands between all callers and the exporter. To hold some callers to a limit of their own,
    /// or to none, give a layer a policy of trust.
    ///
    /// ```
    /// use towline_sampler::{Control, Limit, Rate};
    ///
    /// let control = Control::new(Rate::NEVER);
    /// assert_eq!(control.remote_limit(), None);
    /// control.set_remote_limit(Some(Limit::per_second(50).with_burst(200)));
    /// assert_eq!(control.remote_limit().map(Limit::as_per_second), Some(50));
    /// ```
    ///
    /// [asks]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#sampled-flag
    pub fn set_remote_limit(&self, limit: Option<Limit>) {
        let Shared { state, remote, .. } = &*self.0;
        let changed = match limit {
            Some(limit) => {
                let before = remote.replace_limit(limit);
                let state = State(state.fetch_or(LIMITED, Ordering::Relaxed));
                !state.is_limited() || before != limit
            }
            None => State(state.fetch_and(!LIMITED, Ordering::Relaxed)).is_limited(),
        };
        if changed {
            self.tell(Change::RemoteLimit(limit));
        }
    }

    /// Has this function called with every change from now on, in place of the one before: on the
    /// thread that makes the change and once it is made. Setting what is set already is no change.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use towline_sampler::{Change, Control};
    ///
    /// let (tell, told) = mpsc::channel();
    /// let control = Control::default();
    /// control.on_change(move |change| drop(tell.send(change)));
    /// control.set_enabled(false);
    /// control.set_enabled(false);
    /// assert_eq!(told.try_iter().collect::<Vec<_>>(), [Change::Enabled(false)]);
    /// ```
    pub fn on_change(&self, observer: impl Fn(Change) + Send + Sync + 'static) {
        let mut current = self.observer();
        *current = Some(Arc::new(observer));
    }

    fn tell(&self, change: Change) {
        // Not under the lock: it may change something itself.
        let observer = self.observer().clone();
        if let Some(observer) = observer {
            observer(change);
        }
    }

    fn observer(&self) -> MutexGuard<'_, Option<Observer>> {
        let observer = self.0.observer.lock();
        observer.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more request of a trace is recorded because its remote caller asks for it. To be
    /// asked while there is a limit.
    pub(crate) fn admits(&self, trace_id: TraceId) -> bool {
        self.0.remote.admits(trace_id)
    }

    pub(crate) fn load(&self) -> State {
        State(self.0.state.load(Ordering::Relaxed))
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
            .field("remote_limit", &self.remote_limit())
            .finish()
    }
}

// === impl State ===

impl State {
    pub(crate) fn is_enabled(self) -> bool {
        self.0 & ENABLED != 0
    }

    /// Whether what remote callers ask for is limited.
    pub(crate) fn is_limited(self) -> bool {
        self.0 & LIMITED != 0
    }

    pub(crate) fn threshold(self) -> Threshold {
        Threshold::from_bits(self.0 & THRESHOLD)
    }
}

const ENABLED: u64 = 1 << 63;

const LIMITED: u64 = 1 << 62;

const THRESHOLD: u64 = (1 << 57) - 1;

/// What stands in a limiter that is not in use.
const NOTHING: Limit = Limit::per_second(0);

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
            "Control { enabled: true, rate: Rate(0), remote_limit: None }"
        );
    }

    #[test]
    fn the_limit_disturbs_neither_the_switch_nor_the_rate() {
        let control = Control::new(Rate::per_million(123_456).unwrap());
        let limit = Limit::per_second(3);
        control.set_remote_limit(Some(limit));
        assert_eq!(control.remote_limit(), Some(limit));
        control.set_enabled(false);
        control.set_rate(Rate::ALWAYS);
        assert_eq!(control.remote_limit(), Some(limit));
        assert_eq!(
            (control.is_enabled(), control.rate()),
            (false, Rate::ALWAYS)
        );
        control.set_remote_limit(None);
        assert_eq!(control.remote_limit(), None);
        assert_eq!(
            (control.is_enabled(), control.rate()),
            (false, Rate::ALWAYS)
        );
    }

    #[test]
    fn an_observer_is_told_what_has_changed_and_nothing_else() {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let control = Control::default();
        let clone = Arc::clone(&told);
        control.on_change(|_| panic!("it is replaced"));
        control.on_change(move |change| clone.lock().unwrap().push(change));
        let (limit, other) = (Limit::per_second(1), Limit::per_second(2));
        for _ in 0..2 {
            control.set_enabled(false);
            control.set_rate(Rate::ALWAYS);
            control.set_remote_limit(Some(limit));
        }
        for _ in 0..2 {
            control.set_remote_limit(Some(other));
        }
        for _ in 0..2 {
            control.set_remote_limit(None);
        }
        // What stood there before it was taken away is none any more.
        control.set_remote_limit(Some(other));
        control.set_enabled(true);
        assert_eq!(
            *told.lock().unwrap(),
            [
                Change::Enabled(false),
                Change::Rate(Rate::ALWAYS),
                Change::RemoteLimit(Some(limit)),
                Change::RemoteLimit(Some(other)),
                Change::RemoteLimit(None),
                Change::RemoteLimit(Some(other)),
                Change::Enabled(true),
            ]
        );
    }
}
