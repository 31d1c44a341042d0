use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData};
use towline_sampler::{Control, Rate, Sampler};
use towline_span::Spans;

use crate::assertions::assert_no_duplicate_attributes;
use crate::memory::Memory;

/// A whole tracing pipeline in memory: SDK provider, Towline sampler and its control.
///
/// Clones share everything.
///
/// ```
/// use towline_test_support::TestTracing;
///
/// let tracing = TestTracing::never();
/// tracing.spans().span("not recorded").call(|| ());
/// assert!(tracing.finished().is_empty());
///
/// tracing.control().set_rate(towline_sampler::Rate::ALWAYS);
/// tracing.spans().span("recorded").call(|| ());
/// assert_eq!(tracing.only().name, "recorded");
/// ```
#[derive(Clone, Debug)]
pub struct TestTracing {
    provider: SdkTracerProvider,
    sampler: Sampler,
    memory: Memory,
}

impl TestTracing {
    /// Records every root; a caller's decision is kept.
    #[must_use]
    pub fn always() -> Self {
        Self::with_rate(Rate::ALWAYS)
    }

    /// Records no root; a caller's decision is kept, so a sampled caller is still recorded.
    #[must_use]
    pub fn never() -> Self {
        Self::with_rate(Rate::NEVER)
    }

    /// Records roots at this rate; a caller's decision is kept.
    #[must_use]
    pub fn with_rate(rate: Rate) -> Self {
        Self::with_sampler(Sampler::new(Control::new(rate)))
    }

    /// Records nothing at all: the control is switched off.
    #[must_use]
    pub fn off() -> Self {
        let tracing = Self::always();
        tracing.control().set_enabled(false);
        tracing
    }

    /// Records what this sampler says.
    #[must_use]
    pub fn with_sampler(sampler: Sampler) -> Self {
        let memory = Memory::new();
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_processor(memory.clone())
            .build();
        Self {
            provider,
            sampler,
            memory,
        }
    }

    /// A tracer of the provider, for the plain OpenTelemetry API.
    #[must_use]
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer("towline-test-support")
    }

    /// What the Towline layers take: the tracer together with its sampler.
    #[must_use]
    pub fn spans(&self) -> Spans<SdkTracer> {
        Spans::new(self.tracer()).with_sampler(self.sampler())
    }

    /// The same without the sampler, as over a foreign tracer: every span is described in full at
    /// its start.
    #[must_use]
    pub fn spans_without_sampler(&self) -> Spans<SdkTracer> {
        Spans::new(self.tracer())
    }

    /// The sampler of the provider.
    #[must_use]
    pub fn sampler(&self) -> Sampler {
        self.sampler.clone()
    }

    /// The switch and the root rate.
    #[must_use]
    pub fn control(&self) -> Control {
        self.sampler.control().clone()
    }

    /// The SDK's provider.
    #[must_use]
    pub fn provider(&self) -> SdkTracerProvider {
        self.provider.clone()
    }

    /// Shuts the SDK's provider down: spans started from now on are invalid.
    pub fn shutdown(&self) {
        self.provider
            .shutdown()
            .expect("a memory shuts down without fail, the first time");
    }

    /// Every span that has ended, first ended first.
    #[must_use]
    pub fn finished(&self) -> Vec<SpanData> {
        self.memory.finished()
    }

    /// How many recording spans have started.
    #[must_use]
    pub fn started(&self) -> usize {
        self.memory.started()
    }

    /// The one span that has ended.
    ///
    /// # Panics
    ///
    /// If there is not exactly one, or if it has two attributes of one key.
    #[track_caller]
    pub fn only(&self) -> SpanData {
        let mut finished = self.finished();
        match (finished.pop(), finished.is_empty()) {
            (Some(span), true) => {
                assert_no_duplicate_attributes(&span);
                span
            }
            (last, _) => {
                finished.extend(last);
                panic!(
                    "expected exactly one ended span, found {}",
                    names(&finished)
                )
            }
        }
    }

    /// The one span of this name that has ended.
    ///
    /// # Panics
    ///
    /// If there is not exactly one, or if it has two attributes of one key.
    #[track_caller]
    pub fn named(&self, name: &str) -> SpanData {
        let finished = self.finished();
        let mut matching = finished.iter().filter(|span| span.name == name);
        match (matching.next(), matching.next()) {
            (Some(span), None) => {
                assert_no_duplicate_attributes(span);
                span.clone()
            }
            _ => panic!(
                "expected exactly one ended span {name:?}, found {}",
                names(&finished)
            ),
        }
    }

    /// That no span has started, and so none has ended.
    ///
    /// # Panics
    ///
    /// If one has.
    #[track_caller]
    pub fn assert_none(&self) {
        assert_eq!(
            self.started(),
            0,
            "expected no span, ended are {}",
            names(&self.finished())
        );
    }

    /// That no span has ended, whether one has started or not.
    ///
    /// # Panics
    ///
    /// If one has.
    #[track_caller]
    pub fn assert_not_ended(&self) {
        let finished = self.finished();
        assert!(
            finished.is_empty(),
            "expected no ended span, found {}",
            names(&finished)
        );
    }

    /// Forgets every span so far.
    pub fn reset(&self) {
        self.memory.reset();
    }
}

fn names(spans: &[SpanData]) -> String {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    format!("{}: {names:?}", spans.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "expected exactly one ended span, found 2: [\"a\", \"b\"]")]
    fn only_is_not_satisfied_with_two() {
        let tracing = TestTracing::always();
        tracing.spans().span("a").call(|| ());
        tracing.spans().span("b").call(|| ());
        tracing.only();
    }

    #[test]
    #[should_panic(expected = "expected exactly one ended span \"b\", found 1: [\"a\"]")]
    fn named_is_not_satisfied_with_another() {
        let tracing = TestTracing::always();
        tracing.spans().span("a").call(|| ());
        tracing.named("b");
    }

    #[test]
    fn reset_forgets_and_off_records_nothing() {
        let tracing = TestTracing::always();
        tracing.spans().span("a").call(|| ());
        assert_eq!(
            (tracing.started(), tracing.named("a").name.as_ref()),
            (1, "a")
        );
        tracing.reset();
        tracing.assert_none();
        let off = TestTracing::off();
        off.spans().span("a").call(|| ());
        off.assert_none();
    }

    #[test]
    fn spans_survive_a_shutdown_and_new_ones_do_not_start() {
        let tracing = TestTracing::always();
        tracing.spans().span("before").call(|| ());
        tracing.shutdown();
        tracing.spans().span("after").call(|| ());
        assert_eq!(tracing.only().name, "before");
    }
}
