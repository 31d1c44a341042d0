//! Keeps a thread of the kit out of what the test observes.

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber, span};

/// From here on this thread's `tracing` spans and events go nowhere.
pub(crate) fn begin() -> DefaultGuard {
    dispatcher::set_default(&Dispatch::new(Silent))
}

/// Hears nothing. Not `Dispatch::none`: of that one `tracing` does not know, so that the first thread
/// to come by a place in the code, which may be this one, could answer for the test's subscriber that
/// nobody is interested in it, now and for ever.
struct Silent;

impl Subscriber for Silent {
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
