use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanLimits};
use tokio::sync::{mpsc::UnboundedSender, oneshot};
use tower_service::Service;

use super::builder::ExporterBuilder;
use super::command::{Command, Deadline, Outcome, Reply};
use super::health::Health;
use super::late::{Late, LateError, LateErrorKind, LatePart};
use super::outcome::{FlushError, FlushErrorKind, ShutdownError, ShutdownErrorKind, Summary};
use super::route::Route;
use super::service::{ExporterService, Traffic};
use super::stats::Stats;
use super::thread::ResourceSlot;
use crate::buffer::Buffer;
use crate::record::{SpanRecorder, shorten};
use crate::{Batch, BoxTransport, ClientOptions, Endpoint, ExportError, Receipt};

/// The handle on a span exporter: what became of its spans, flush, shutdown.
///
/// Clones are handles on the same exporter. It has a thread of its own, so that every method works
/// on any runtime, on a current-thread runtime, or on none, and none of them can deadlock. The
/// thread ends with [`shutdown`](Self::shutdown), or when the last handle, the
/// [`Processor`](crate::Processor), and every [recorder](Self::recorder) with its spans are gone: it
/// then delivers what it holds, if it can within five seconds, while the drop itself returns at once.
///
/// # Examples
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use std::time::Duration;
/// use towline_otlp::{Discard, Exporter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (processor, exporter) = Exporter::builder().transport(Discard::new()).build()?;
/// let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
/// provider.tracer("docs").in_span("one", |_| {});
///
/// let summary = exporter.shutdown(Duration::from_secs(5)).await?;
/// assert_eq!(summary.stats.exported, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Exporter {
    core: Arc<Core>,
}

/// What handles, the processor, recorders and the thread share. The thread has no sender: without handles its
/// channel is closed.
pub(crate) struct Core {
    pub(super) buffer: Arc<Buffer>,
    pub(super) health: Arc<Health>,
    pub(super) outcome: Arc<OnceLock<Outcome>>,
    pub(super) commands: UnboundedSender<Command>,
    pub(super) resource: Arc<ResourceSlot>,
    /// The longest text of an attribute, in characters.
    pub(super) value_chars: AtomicUsize,
    /// Whether the processor was shut down by its provider.
    pub(super) provider_has_ended: AtomicBool,
    pub(super) late: Late,
    pub(super) traffic: Arc<Traffic>,
    pub(super) service_bytes: usize,
    /// For an endpoint that is supplied late.
    pub(super) client: ClientOptions,
    /// What it is called in metrics.
    #[cfg(feature = "metrics")]
    pub(super) component: &'static str,
}

// === impl Exporter ===

impl Exporter {
    /// Begins a configuration: only where spans go must be given.
    pub fn builder() -> ExporterBuilder {
        ExporterBuilder::new()
    }

    pub(super) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Where every span has gone so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Shows the counts as OpenTelemetry metrics, read whenever a reader collects: nothing is
    /// counted twice, and no span costs more.
    ///
    /// The names are those of the [conventions for SDK metrics] (in development, as of 1.44):
    ///
    /// | metric | what |
    /// |---|---|
    /// | `otel.sdk.processor.span.queue.size` | [`held`](Stats::held) |
    /// | `otel.sdk.processor.span.queue.capacity` | [`buffer_spans`](ExporterBuilder::buffer_spans), if it was set |
    /// | `otel.sdk.processor.span.processed` | passed on; with `error.type` `queue_full` or `already_shutdown` dropped |
    /// | `otel.sdk.exporter.span.inflight` | [`in_flight`](Stats::in_flight) |
    /// | `otel.sdk.exporter.span.exported` | [`exported`](Stats::exported); with `error.type` `rejected`, `too_large` or `retries_exhausted` lost |
    ///
    /// `otel.component.name` tells several exporters of a process apart. The instruments keep the
    /// exporter from nothing: once it is gone they fall silent.
    ///
    /// [conventions for SDK metrics]: https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/otel/sdk-metrics.md
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn observe_with(&self, meter: &opentelemetry::metrics::Meter) {
        super::metrics::observe(&self.core, meter);
    }

    /// A recorder for the spans of one scope, which encodes them as they are told, without the SDK: for
    /// [`Spans::with_recorder`](towline_span::Spans::with_recorder). `limits` are those of the provider
    /// whose spans stand beside.
    ///
    /// Its spans are counted and exported as those of the [`Processor`](crate::Processor) are. When the
    /// provider of the processor is shut down it starts no more spans, as the provider does not.
    #[must_use]
    pub fn recorder(&self, scope: InstrumentationScope, limits: SpanLimits) -> SpanRecorder {
        SpanRecorder::new(Arc::clone(&self.core), scope, limits)
    }

    /// Sets how many characters of a text an attribute keeps, of the span itself, of its events and
    /// links, and of each text in a list. Default: [`None`], no limit, as in the
    /// [specification](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/common/README.md#attribute-limits).
    ///
    /// It counts from the next span on.
    pub fn set_attribute_value_length_limit(&self, chars: Option<usize>) {
        let chars = chars.unwrap_or(usize::MAX);
        self.core.value_chars.store(chars, Ordering::Relaxed);
    }

    /// A service that ships batches which others have encoded, such as those that a server has
    /// received: see [`ExporterService`].
    #[must_use]
    pub fn service(&self) -> ExporterService {
        ExporterService::new(Arc::clone(&self.core))
    }

    /// Supplies attributes of the resource that were not known at the start, such as a host's
    /// identity that only a server tells: see
    /// [`late_resource_attributes`](ExporterBuilder::late_resource_attributes).
    ///
    /// One that the resource has already is replaced. The attributes are on every span, also on
    /// those that have waited.
    ///
    /// # Errors
    ///
    /// [`LateError`] when the exporter was built without asking for them, and the second time.
    pub fn set_resource_attributes(
        &self,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> Result<(), LateError> {
        self.core.late.supply(LatePart::ResourceAttributes, || {
            self.core.resource.add(attributes.into_iter().collect());
            self.core.ask(Command::Resource);
            Ok(())
        })
    }

    /// Supplies the transport: see [`late_transport`](ExporterBuilder::late_transport).
    ///
    /// # Errors
    ///
    /// [`LateError`] when the exporter was built without asking for it, and the second time.
    pub fn set_transport<S>(&self, transport: S) -> Result<(), LateError>
    where
        S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let route = Route::new(BoxTransport::new(transport));
        self.core.set_route(|| Ok(route))
    }

    /// Supplies where spans go: see [`late_transport`](ExporterBuilder::late_transport) and
    /// [`Endpoint`]. The [`client`](ExporterBuilder::client) options of the builder go for it.
    ///
    /// # Errors
    ///
    /// [`LateError`] when the exporter was built without asking for it, when the URL cannot be read
    /// or used, and the second time.
    pub fn set_url(&self, url: &str) -> Result<(), LateError> {
        self.core.set_route(|| {
            let endpoint = Endpoint::parse(url)
                .map_err(|error| LateError::with_source(LateErrorKind::Endpoint, error))?;
            Route::connect(&endpoint, &self.core.client)
                .map_err(|error| LateError::with_source(LateErrorKind::Transport, error))
        })
    }

    /// Delivers every span that has ended, and waits until their fate is known.
    ///
    /// # Errors
    ///
    /// [`FlushError`] when the deadline passed first, when spans were lost, or when the exporter is
    /// shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up waiting, not delivering.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let (sender, answer) = oneshot::channel();
        self.core.ask(Command::Flush(
            Deadline::after(deadline),
            Reply::Future(sender),
        ));
        answer
            .await
            .unwrap_or(Err(FlushError::new(FlushErrorKind::Shutdown, 0)))
    }

    /// [`flush`](Self::flush) for programs without a runtime: blocks the thread, at most until the
    /// deadline.
    ///
    /// It is safe inside a runtime as well, where it holds up the tasks of that thread.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub fn blocking_flush(&self, deadline: Duration) -> Result<(), FlushError> {
        self.core.blocking_flush(deadline)
    }

    /// Delivers every span that has ended, and ends the export thread. Spans that end from now on
    /// are counted as dropped.
    ///
    /// It may be called twice and at the same time by several; all get the same answer. The
    /// shortest deadline counts. While it lasts a failed batch is tried again only if there is time
    /// left, and not at all if the backend has never been reached: a program without a collector
    /// ends without delay.
    ///
    /// # Errors
    ///
    /// [`ShutdownError`] when spans were lost; it says how many. The exporter is shut down all the
    /// same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up waiting, not shutting down.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Summary, ShutdownError> {
        let (sender, answer) = oneshot::channel();
        self.core.ask(Command::Shutdown(
            Deadline::after(deadline),
            Reply::Future(sender),
        ));
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => self.core.outcome(),
        }
    }

    /// [`shutdown`](Self::shutdown) for programs without a runtime: blocks the thread, at most
    /// until the deadline.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    pub fn blocking_shutdown(&self, deadline: Duration) -> Result<Summary, ShutdownError> {
        self.core.blocking_shutdown(deadline)
    }
}

// === impl Core ===

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the content: spans may hold what does not belong in a log.
        self.stats().fmt(f)
    }
}

impl Core {
    /// A span of the SDK has ended.
    pub(super) fn push(&self, mut span: SpanData) {
        if let Some(chars) = self.value_chars() {
            shorten(&mut span.attributes, chars);
            for event in &mut span.events.events {
                shorten(&mut event.attributes, chars);
            }
            for link in &mut span.links.links {
                shorten(&mut link.attributes, chars);
            }
        }
        self.buffer.push(&span);
    }

    /// The longest text of an attribute, if there is a limit.
    pub(crate) fn value_chars(&self) -> Option<usize> {
        Some(self.value_chars.load(Ordering::Relaxed)).filter(|chars| *chars != usize::MAX)
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    pub(crate) fn provider_has_ended(&self) -> bool {
        self.provider_has_ended.load(Ordering::Relaxed)
    }

    pub(super) fn stats(&self) -> Stats {
        Stats::new(
            &self.buffer.snapshot(),
            self.health.failed_attempts(),
            self.traffic.stats(),
        )
    }

    pub(super) fn blocking_flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.ask(Command::Flush(
            Deadline::after(deadline),
            Reply::Thread(sender),
        ));
        answer
            .recv_timeout(deadline.saturating_add(GRACE))
            .unwrap_or_else(|error| {
                Err(FlushError::new(
                    match error {
                        RecvTimeoutError::Timeout => FlushErrorKind::Timeout,
                        RecvTimeoutError::Disconnected => FlushErrorKind::Shutdown,
                    },
                    0,
                ))
            })
    }

    pub(super) fn blocking_shutdown(&self, deadline: Duration) -> Result<Summary, ShutdownError> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.ask(Command::Shutdown(
            Deadline::after(deadline),
            Reply::Thread(sender),
        ));
        match answer.recv_timeout(deadline.saturating_add(GRACE)) {
            Ok(outcome) => outcome,
            Err(_) => self.outcome(),
        }
    }

    /// Passes a command on; without a thread the reply is dropped, which answers it.
    fn set_route(&self, route: impl FnOnce() -> Result<Route, LateError>) -> Result<(), LateError> {
        self.late.supply(LatePart::Transport, || {
            self.ask(Command::Route(Box::new(route()?)));
            Ok(())
        })
    }

    pub(super) fn ask(&self, command: Command) {
        drop(self.commands.send(command));
    }

    /// How the shutdown ended, for those who come too late to be told.
    fn outcome(&self) -> Outcome {
        self.outcome.get().cloned().unwrap_or_else(|| {
            let stats = self.stats();
            Err(ShutdownError::new(
                ShutdownErrorKind::Stopped,
                stats.held + stats.in_flight,
                stats,
            ))
        })
    }
}

/// The export thread keeps deadlines itself; this is for the case that it cannot, so that a blocked
/// caller gets on.
const GRACE: Duration = Duration::from_millis(250);
