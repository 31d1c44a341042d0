//! Keeps the export thread from watching itself.
//!
//! What exports spans must not make any: it would never come to rest. Two things are needed. A
//! *suppressed* OpenTelemetry context keeps the SDK from starting spans, and a scoped `tracing`
//! subscriber that hears nothing keeps the spans and events of hyper and h2 from the program's: a
//! span entered there, such as h2's own, would bring a context of its own, and so lift the
//! suppression.
//!
//! Two more things keep this from the rest of the program:
//!
//! - While any thread has a scoped subscriber, `tracing` looks for one on every thread before each
//!   event. So the scope is left while the thread sleeps.
//! - Whether anybody is interested in a place in the code is asked once, of the subscriber at hand,
//!   and remembered for all threads. So the silent one answers for the program's.

use std::cell::RefCell;
use std::sync::LazyLock;

use opentelemetry::Context;
use tracing::dispatcher::{self, DefaultGuard, Dispatch, WeakDispatch};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, NoSubscriber};
use tracing::{Event, Metadata, Subscriber, span};

/// Suppresses telemetry on this thread for the rest of its life.
pub(super) fn begin() {
    // Never undone: the thread ends first, and a guard that is dropped while it does would panic.
    std::mem::forget(Context::enter_telemetry_suppressed_scope());
    resume();
}

/// Silences `tracing` on this thread until [`pause`].
pub(super) fn resume() {
    let is_silent = SILENCE.try_with(|silence| silence.borrow().is_some());
    if is_silent.unwrap_or(true) {
        return;
    }
    let program = dispatcher::get_default(Dispatch::clone);
    let silence = Silence {
        program,
        _scope: dispatcher::set_default(&SILENT),
    };
    let _ = SILENCE.try_with(|place| place.replace(Some(silence)));
}

/// Ends the silence, for a while or for good.
pub(super) fn pause() {
    let silence = SILENCE.try_with(RefCell::take);
    drop(silence);
}

/// The silence of a thread.
struct Silence {
    /// The subscriber that the thread had otherwise.
    program: Dispatch,
    _scope: DefaultGuard,
}

thread_local! {
    static SILENCE: RefCell<Option<Silence>> = const { RefCell::new(None) };
}

static SILENT: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Silent));

/// Hears nothing.
struct Silent;

impl Subscriber for Silent {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Of several answers that differ `tracing` makes "sometimes", which costs every thread a
        // question at each event. So this one never differs from the program's.
        let answer = SILENCE.try_with(|silence| {
            let silence = silence.try_borrow().ok()?;
            silence
                .as_ref()
                .map(|silence| silence.program.register_callsite(metadata))
        });
        if let Some(interest) = answer.ok().flatten() {
            return interest;
        }
        dispatcher::get_default(|current| match current.is::<Self>() {
            true => Interest::never(),
            false => current.register_callsite(metadata),
        })
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _attributes: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

/// The subscriber of the program, for the few lines it should see.
#[derive(Debug)]
pub(super) struct Voice {
    /// The scoped one of the thread that built the exporter. Weak: it may well hold the tracer, and
    /// so the exporter.
    scoped: Option<WeakDispatch>,
}

impl Voice {
    /// Remembers the subscriber of the current scope. Where there is none, it is the global one at
    /// the time of speaking: a program often makes its exporter first and its subscriber, which
    /// needs it, then.
    pub(super) fn capture() -> Self {
        let scoped = dispatcher::get_default(|current| {
            (!current.is::<NoSubscriber>()).then(|| current.downgrade())
        });
        Self { scoped }
    }

    /// Runs `say` where the program's subscriber hears it.
    pub(super) fn speak(&self, say: impl FnOnce()) {
        pause();
        match self.scoped.as_ref().and_then(WeakDispatch::upgrade) {
            Some(dispatch) => dispatcher::with_default(&dispatch, say),
            None => say(),
        }
        resume();
    }
}
