use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::handle::Core;
use super::outcome::{FlushErrorKind, ShutdownErrorKind};

/// The exporter's end inside the SDK: hand it to
/// `SdkTracerProvider::builder().with_span_processor(…)`.
///
/// When a span ends it is encoded on the spot, into memory that this thread keeps for that, and
/// appended to the buffer: no allocation, no queue of structures, nothing left to do for the span
/// but to free it. A span that is not sampled is passed over and not counted. A full buffer costs
/// less than a span: it refuses before encoding.
///
/// The provider's resource is what is exported, unless
/// [`ExporterBuilder::resource`](super::ExporterBuilder::resource) gave another.
#[derive(Debug)]
pub struct Processor {
    core: Arc<Core>,
}

// === impl Processor ===

impl Processor {
    pub(super) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.core.push(span);
        }
    }

    /// Blocks for at most five seconds, as the SDK's own batch processor does.
    fn force_flush(&self) -> OTelSdkResult {
        self.core
            .blocking_flush(FORCE_FLUSH_TIMEOUT)
            .map_err(|error| match error.kind() {
                FlushErrorKind::Timeout => OTelSdkError::Timeout(FORCE_FLUSH_TIMEOUT),
                FlushErrorKind::Shutdown => OTelSdkError::AlreadyShutdown,
                FlushErrorKind::Lost => OTelSdkError::InternalFailure(error.to_string()),
            })
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.core.provider_has_ended.store(true, Ordering::Relaxed);
        match self.core.blocking_shutdown(timeout) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ShutdownErrorKind::Timeout => {
                Err(OTelSdkError::Timeout(timeout))
            }
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.core.resource.set_from_provider(resource);
    }
}

/// `opentelemetry_sdk` gives `force_flush` no deadline and waits so long in its own processor.
const FORCE_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
