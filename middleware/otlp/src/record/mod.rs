//! Spans that are encoded as they are told, without the SDK.

mod pool;
mod repeats;
mod shorten;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider, SpanLimits};
use towline_span::{NewSpan, Recorder, Recording};

pub(crate) use self::shorten::shorten;
pub use self::span::RecordedSpan;

use crate::exporter::Core;

/// Records spans for an exporter without the SDK: from [`Exporter::recorder`](crate::Exporter::recorder).
///
/// A span takes two allocations from start to end, the two that the API's `Context` takes for any. What
/// is said of it is encoded at once into memory that the thread keeps for that, up to 64 KiB. Groups of attributes that come
/// again are kept as they were encoded, 64 of them by each thread, in up to 105 KiB.
///
/// The span in the context is the API's like any other: attributes, events, links and status can be
/// added from wherever the context is, spans of the SDK nest under it and over it. What the SDK would
/// do with it, [`SpanLimits`] included, is done here as well; what the SDK offers beyond that, processors
/// and `exported_data`, is not there.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use opentelemetry::InstrumentationScope;
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::{SdkTracerProvider, SpanLimits};
/// use towline_otlp::{Discard, Exporter};
/// use towline_sampler::{Control, Rate, Sampler};
/// use towline_span::Spans;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sampler = Sampler::new(Control::new(Rate::ALWAYS));
/// let (processor, exporter) = Exporter::builder().transport(Discard::new()).build()?;
/// let provider = SdkTracerProvider::builder()
///     .with_sampler(sampler.clone())
///     .with_span_processor(processor)
///     .build();
///
/// let scope = InstrumentationScope::builder("docs").build();
/// let recorder = exporter.recorder(scope, SpanLimits::default());
/// let spans = Spans::new(provider.tracer("docs"))
///     .with_sampler(sampler)
///     .with_recorder(Arc::new(recorder));
/// spans.span("one").call(|| {});
///
/// let summary = exporter.shutdown(Duration::from_secs(5)).await?;
/// assert_eq!(summary.stats.exported, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SpanRecorder {
    inner: Arc<Inner>,
}

/// What its spans share.
#[derive(Clone)]
struct Inner {
    core: Arc<Core>,
    scope: Arc<InstrumentationScope>,
    limits: SpanLimits,
    ids: RandomIdGenerator,
    /// Held, and nothing else, as long as a span is open: as a span of its own holds it.
    provider: Option<SdkTracerProvider>,
}

// === impl SpanRecorder ===

impl SpanRecorder {
    pub(crate) fn new(core: Arc<Core>, scope: InstrumentationScope, limits: SpanLimits) -> Self {
        Self {
            inner: Arc::new(Inner {
                core,
                scope: Arc::new(scope),
                limits,
                ids: RandomIdGenerator::default(),
                provider: None,
            }),
        }
    }

    /// Keeps the provider that has the exporter's processor for as long as there is a recorder or a span
    /// of it, as every tracer and every span of the SDK does. Default: it is not kept.
    ///
    /// A provider shuts the exporter down when it is dropped. So without this, spans that are open when the
    /// last handle on the provider goes are counted as dropped when they end.
    #[must_use]
    pub fn with_provider(mut self, provider: SdkTracerProvider) -> Self {
        Arc::make_mut(&mut self.inner).provider = Some(provider);
        self
    }
}

impl Recorder for SpanRecorder {
    fn is_open(&self) -> bool {
        !self.inner.core.provider_has_ended()
    }

    fn new_trace_id(&self) -> TraceId {
        self.inner.ids.new_trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        self.inner.ids.new_span_id()
    }

    fn start(
        &self,
        base: &Context,
        span: NewSpan,
        describe: &mut dyn FnMut(&mut dyn Recording),
    ) -> Context {
        let mut recorded = RecordedSpan::begin(&self.inner, span);
        describe(&mut recorded);
        recorded.begun();
        base.with_span(recorded)
    }
}

impl fmt::Debug for SpanRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanRecorder")
            .field("scope", &self.inner.scope.name())
            .field("keeps_provider", &self.inner.provider.is_some())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// An encoded span has ended.
    fn end(&self, span: &[u8]) {
        self.core.buffer().push_encoded(&self.scope, span);
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}
