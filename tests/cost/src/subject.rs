//! A path that is set up: the bare service and the layer around it, and the pipeline that its spans go into.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, ContextGuard};
use opentelemetry_sdk::trace::SdkTracerProvider;
use towline::{Environment, Rate, Towline};
use towline_otlp::{Exporter, ExporterBuilder};

use crate::request::Caller;
use crate::sink::{Discarding, LastBatch, Recorded};
use crate::work::{Work, one_by_one};

/// What is counted on a path.
pub struct Subject {
    /// The work without anything of ours in it.
    pub bare: Box<dyn Work>,
    /// The work with it.
    pub with: Box<dyn Work>,
    recorded: Box<dyn Fn() -> Recorded>,
    flush: Box<dyn Fn()>,
    /// Where the call is made, for clients.
    _current: Option<ContextGuard>,
    /// What must live as long.
    _alive: Box<dyn Any>,
}

/// The handle as a program has it, whose export thread sleeps until it is asked to flush: so that nothing of what it does
/// falls into a count.
pub(crate) fn facade(roots: Rate) -> (Towline, LastBatch) {
    let sink = LastBatch::default();
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_service_name("users")
        .with_sampling_rate(roots)
        .with_transport(sink.clone())
        .with_exporter_options(exporter)
        .build()
        .expect("a transport is all it needs");
    (tracing, sink)
}

/// Batches are formed when somebody flushes.
pub(crate) fn exporter(options: ExporterBuilder) -> ExporterBuilder {
    options
        .flush_interval(Duration::from_secs(24 * 60 * 60))
        .batch_spans(1 << 20)
        .batch_bytes(4 << 20)
}

// === impl Subject ===

impl Subject {
    pub(crate) fn of_facade(
        tracing: Towline,
        sink: LastBatch,
        bare: Box<dyn Work>,
        with: Box<dyn Work>,
    ) -> Self {
        Self {
            recorded: Box::new(move || sink.recorded()),
            flush: Box::new(move || tracing.blocking_flush(DEADLINE).expect("it is taken")),
            ..Self::of_nothing(bare, with)
        }
    }

    pub(crate) fn of_exporter(
        exporter: Exporter,
        sink: LastBatch,
        bare: Box<dyn Work>,
        with: Box<dyn Work>,
    ) -> Self {
        Self {
            recorded: Box::new(move || sink.recorded()),
            flush: Box::new(move || exporter.blocking_flush(DEADLINE).expect("it is taken")),
            ..Self::of_nothing(bare, with)
        }
    }

    pub(crate) fn of_sdk(
        provider: SdkTracerProvider,
        sink: Discarding,
        bare: Box<dyn Work>,
        with: Box<dyn Work>,
    ) -> Self {
        Self {
            recorded: Box::new(move || sink.recorded()),
            _alive: Box::new(provider),
            ..Self::of_nothing(bare, with)
        }
    }

    pub(crate) fn of_nothing(bare: Box<dyn Work>, with: Box<dyn Work>) -> Self {
        Self {
            bare,
            with,
            recorded: Box::new(Recorded::default),
            flush: Box::new(|| ()),
            _current: None,
            _alive: Box::new(()),
        }
    }

    /// Makes the caller's context current, on this thread.
    pub(crate) fn called_from(mut self, caller: Caller) -> Self {
        self._current = caller
            .span_context()
            .map(|parent| Context::new().with_remote_span_context(parent).attach());
        self
    }

    /// Does both until nothing is the first time any more.
    ///
    /// The first on a thread fill what the thread keeps; the first in a buffer make its block, and wake the export thread.
    /// Nothing is flushed before the count: what the export thread frees would find its way into the allocator, and so into
    /// the count, differently each time.
    pub fn warm_up(&mut self) {
        for work in [&mut self.bare, &mut self.with] {
            one_by_one(&mut **work, WARM_UPS, |work| work.run());
        }
    }

    /// What was recorded since the warm-up.
    #[must_use]
    pub fn recorded_since_warm_up(&self) -> Recorded {
        (self.flush)();
        let Recorded { spans, attributes } = (self.recorded)();
        Recorded {
            spans: spans.saturating_sub(WARM_UPS),
            attributes,
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// With [`INPUTS`](crate::callgrind::INPUTS) spans they fill less than one block of the buffer.
const WARM_UPS: usize = 16;

const DEADLINE: Duration = Duration::from_secs(60);
