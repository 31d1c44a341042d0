//! The exporter does not watch itself: under a subscriber that takes everything, wired to the very
//! provider that exports over h2, it makes not one span.
#![cfg(all(feature = "grpc", feature = "http"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod support;

use std::sync::Mutex;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::ServiceExt;
use towline_otlp::{Batch, Endpoint, Exporter, Grpc};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use crate::support::collector::{GrpcCollector, HttpCollector, spans};
use crate::support::spans::span;

/// The target of everything that is traced on threads of the exporter, and on others.
static ON_EXPORT_THREADS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ELSEWHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes which thread traces what.
struct Watch;

impl Watch {
    fn note(metadata: &tracing::Metadata<'_>) {
        let on_export_thread = std::thread::current().name() == Some("towline-otlp");
        let notes = if on_export_thread {
            &ON_EXPORT_THREADS
        } else {
            &ELSEWHERE
        };
        notes
            .lock()
            .unwrap()
            .push(format!("{} {}", metadata.target(), metadata.name()));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Watch {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        _: Context<'_, S>,
    ) {
        Self::note(attributes.metadata());
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        Self::note(event.metadata());
    }
}

const LONG: Duration = Duration::from_secs(30);
const ROUNDS: usize = 5;

#[test]
fn an_exporter_makes_no_spans_of_its_own() {
    let grpc = GrpcCollector::accepting();
    let http = HttpCollector::accepting();
    // The exporters come first: the subscriber needs their provider.
    let (grpc_processor, grpc_exporter) = Exporter::builder().url(grpc.url()).build().unwrap();
    // A name to look up, which happens on a thread of its own.
    let url = format!("http://localhost:{}", http.address().port());
    let (http_processor, http_exporter) = Exporter::builder().url(url).build().unwrap();
    let absent = support::collector::nobody().to_string();
    let (absent_processor, absent_exporter) = Exporter::builder().url(absent).build().unwrap();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(grpc_processor)
        .with_span_processor(http_processor)
        .with_span_processor(absent_processor)
        .build();
    let subscriber = Registry::default()
        .with(LevelFilter::TRACE)
        .with(Watch)
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
    tracing::subscriber::set_global_default(subscriber).unwrap();

    for _ in 0..ROUNDS {
        tracing::info_span!("users").in_scope(|| tracing::info!("event"));
        grpc_exporter.blocking_flush(LONG).unwrap();
        http_exporter.blocking_flush(LONG).unwrap();
    }
    absent_exporter.blocking_shutdown(LONG).unwrap_err();

    // Whatever tracks itself would show in the counts, if not in the requests yet.
    assert_eq!(grpc_exporter.stats().ended, ROUNDS as u64);
    assert_eq!(http_exporter.stats().ended, ROUNDS as u64);
    let names: Vec<_> = grpc
        .requests()
        .iter()
        .flat_map(spans)
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["users"; ROUNDS]);
    assert_eq!(http.requests().len(), ROUNDS);

    // Of the threads of all three, the program hears one line: that nobody is there.
    let heard = std::mem::take(&mut *ON_EXPORT_THREADS.lock().unwrap());
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("towline_otlp event"), "{heard:?}");

    // The same transport on another thread is heard, so the subscriber would have heard the
    // exporter.
    ELSEWHERE.lock().unwrap().clear();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let transport = Grpc::new(&Endpoint::parse(&grpc.url()).unwrap()).unwrap();
        let batch = Batch::encode(&Resource::builder_empty().build(), [&span(0)]);
        transport.oneshot(batch).await.unwrap();
    });
    let heard = ELSEWHERE.lock().unwrap();
    assert!(
        heard.iter().any(|target| target.starts_with("h2::")),
        "{heard:?}"
    );
}
