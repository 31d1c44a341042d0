use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// A span processor that keeps every ended span in memory, in the order in which they ended.
///
/// Clones share what they keep: give one to the provider and ask the other. Unlike the SDK's memory
/// exporter it forgets nothing on shutdown, it keeps spans that are not sampled too (a recording
/// span that is not sampled is a mistake worth seeing), and ending a span enters no context.
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use towline_test_support::Memory;
///
/// let memory = Memory::new();
/// let provider = SdkTracerProvider::builder().with_span_processor(memory.clone()).build();
/// provider.tracer("example").start("work");
/// assert_eq!(memory.finished()[0].name, "work");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    started: usize,
    finished: Vec<SpanData>,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every span that has ended since the last [`reset`](Self::reset), first ended first.
    #[must_use]
    pub fn finished(&self) -> Vec<SpanData> {
        self.lock().finished.clone()
    }

    /// How many recording spans have started since the last [`reset`](Self::reset).
    #[must_use]
    pub fn started(&self) -> usize {
        self.lock().started
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.lock() = Kept::default();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept
            .lock()
            .expect("no code panics while it holds the memory")
    }
}

impl SpanProcessor for Memory {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {
        self.lock().started += 1;
    }

    fn on_end(&self, span: SpanData) {
        self.lock().finished.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
