use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tokio::sync::watch;
use towline_http::{client, server};
use towline_sampler::{Control, Rate, Sampler};
use towline_test_support::{Memory, assert_child_of, assert_no_duplicate_attributes};

use crate::wait::within_or;

/// One program on the way of a request: its tracing, and the spans that it has ended.
///
/// Clones share everything.
#[derive(Clone, Debug)]
pub struct Hop {
    provider: SdkTracerProvider,
    sampler: Sampler,
    spans: Spans,
}

/// Keeps spans in memory and wakes those who wait for them.
#[derive(Clone, Debug)]
struct Spans {
    memory: Memory,
    news: watch::Sender<()>,
}

/// That `child` was made in a program that `parent`, of another one, has called.
///
/// # Panics
///
/// If it is not.
#[track_caller]
pub fn assert_joined(child: &SpanData, parent: &SpanData) {
    assert_child_of(child, &parent.span_context);
    assert!(child.parent_span_is_remote, "span {:?}", child.name);
}

/// That `child` was made inside of `parent`, in the same program.
///
/// # Panics
///
/// If it is not.
#[track_caller]
pub fn assert_nested(child: &SpanData, parent: &SpanData) {
    assert_child_of(child, &parent.span_context);
    assert!(!child.parent_span_is_remote, "span {:?}", child.name);
}

// === impl Hop ===

impl Hop {
    /// Records every trace that begins here; a caller's decision is kept.
    #[must_use]
    pub fn always() -> Self {
        Self::with_rate(Rate::ALWAYS)
    }

    /// Records only what a sampled caller asks for.
    #[must_use]
    pub fn never() -> Self {
        Self::with_rate(Rate::NEVER)
    }

    /// Is switched off.
    #[must_use]
    pub fn off() -> Self {
        let hop = Self::always();
        hop.control().set_enabled(false);
        hop
    }

    fn with_rate(rate: Rate) -> Self {
        let sampler = Sampler::new(Control::new(rate));
        let spans = Spans {
            memory: Memory::new(),
            news: watch::Sender::new(()),
        };
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_processor(spans.clone())
            .build();
        Self {
            provider,
            sampler,
            spans,
        }
    }

    /// A tracer for the plain OpenTelemetry API.
    #[must_use]
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer("towline-integration")
    }

    /// The provider of that tracer.
    #[must_use]
    pub fn provider(&self) -> SdkTracerProvider {
        self.provider.clone()
    }

    /// The switch and the root rate.
    #[must_use]
    pub fn control(&self) -> Control {
        self.sampler.control().clone()
    }

    /// The layer for this program's servers.
    #[must_use]
    pub fn server_layer(&self) -> server::TraceLayer<SdkTracer> {
        server::TraceLayer::new(self.tracer()).with_sampler(self.sampler.clone())
    }

    /// The layer for this program's clients.
    #[must_use]
    pub fn client_layer(&self) -> client::TraceLayer<SdkTracer> {
        client::TraceLayer::new(self.tracer()).with_sampler(self.sampler.clone())
    }

    /// Every span that has ended by now, first ended first.
    #[must_use]
    pub fn finished(&self) -> Vec<SpanData> {
        self.spans.memory.finished()
    }

    /// How many spans have started by now.
    #[must_use]
    pub fn started(&self) -> usize {
        self.spans.memory.started()
    }

    /// Waits until `count` spans have ended, and sees to it that no other has started.
    ///
    /// # Panics
    ///
    /// At the caller's line if there are fewer or more.
    #[track_caller]
    pub fn ended(&self, count: usize) -> impl Future<Output = Vec<SpanData>> {
        let caller = Location::caller();
        let mut news = self.spans.news.subscribe();
        let memory = self.spans.memory.clone();
        let enough = async move {
            let reached = news.wait_for(|()| memory.finished().len() >= count);
            drop(reached.await.expect("the processor has a sender"));
        };
        let hop = self.clone();
        let wait = within_or(enough, move || {
            let names = hop.names();
            format!(
                "{count} spans, of {} started these have ended: {names:?}",
                hop.started()
            )
        });
        let hop = self.clone();
        async move {
            wait.await;
            let finished = hop.finished();
            finished.iter().for_each(assert_no_duplicate_attributes);
            assert_eq!(
                (finished.len(), hop.started()),
                (count, count),
                "ended and started spans at {caller}: {:?}",
                hop.names()
            );
            finished
        }
    }

    /// Waits for the one span that there is.
    ///
    /// # Panics
    ///
    /// At the caller's line if there is none or another one.
    #[track_caller]
    pub fn only(&self) -> impl Future<Output = SpanData> {
        let ended = self.ended(1);
        async move { ended.await.remove(0) }
    }

    /// Waits for the two spans of a hop that passes requests on: the server's and the client's.
    ///
    /// # Panics
    ///
    /// At the caller's line if there are fewer or others.
    #[track_caller]
    pub fn server_and_client(&self) -> impl Future<Output = (SpanData, SpanData)> {
        let ended = self.ended(2);
        async move {
            let mut spans = ended.await;
            spans.sort_by_key(|span| span.span_kind == SpanKind::Client);
            let (client, server) = (spans.pop().unwrap(), spans.pop().unwrap());
            assert_eq!(server.span_kind, SpanKind::Server);
            assert_eq!(client.span_kind, SpanKind::Client);
            (server, client)
        }
    }

    /// How often spans of each name have ended.
    fn names(&self) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for span in self.finished() {
            *names.entry(span.name.to_string()).or_default() += 1;
        }
        names
    }
}

// === impl Spans ===

impl SpanProcessor for Spans {
    fn on_start(&self, span: &mut Span, cx: &opentelemetry::Context) {
        self.memory.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        self.memory.on_end(span);
        self.news.send_replace(());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
