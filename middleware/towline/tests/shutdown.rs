//! The end: what was delivered, what was lost, and what happens after.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::future::{Pending, Ready, pending, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use opentelemetry::trace::{Span, Tracer};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SimpleSpanProcessor};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::{
    Batch, Discard, ExportError, ExportErrorKind, FlushErrorKind, Receipt, ShutdownErrorKind,
};
use towline::{Control, Environment, Rate, Sampler, Stats, Towline, TowlineBuilder};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A backend that refuses every batch for good.
#[derive(Clone)]
struct Refuse;

/// A backend that takes batches and never answers.
#[derive(Clone)]
struct Hang;

impl Service<Batch> for Refuse {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Ready<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _batch: Batch) -> Self::Future {
        ready(Err(ExportError::new(
            ExportErrorKind::Other,
            "the backend takes nothing",
        )))
    }
}

impl Service<Batch> for Hang {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Pending<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _batch: Batch) -> Self::Future {
        pending()
    }
}

fn builder() -> TowlineBuilder {
    Towline::builder()
        .with_environment(Environment::empty())
        .with_sampling_rate(Rate::ALWAYS)
}

fn record(tracing: &Towline, spans: usize) {
    for _ in 0..spans {
        tracing.spans("test").span("span").call(|| ());
    }
}

#[track_caller]
fn is_accounted_for(stats: &Stats) {
    let Stats {
        ended,
        exported,
        dropped,
        held,
        in_flight,
        ..
    } = stats;
    assert_eq!(
        *ended,
        exported + dropped.total() + held + in_flight,
        "{stats:?}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn every_span_is_delivered() {
    let tracing = builder().with_transport(Discard::new()).build().unwrap();
    record(&tracing, 3);
    tracing.flush(LONG).await.unwrap();
    assert_eq!(tracing.stats().exported, 3);
    record(&tracing, 4);
    let stats = tracing.shutdown(LONG).await.unwrap();
    assert_eq!((stats.ended, stats.exported), (7, 7));
    is_accounted_for(&stats);
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_backend_refuses_is_counted_as_lost() {
    let tracing = builder().with_transport(Refuse).build().unwrap();
    record(&tracing, 5);
    let error = tracing.shutdown(LONG).await.unwrap_err();
    assert_eq!(error.kind(), ShutdownErrorKind::Lost);
    assert_eq!(error.lost_spans(), 5);
    is_accounted_for(&error.stats());
    assert_eq!(error.to_string(), "spans could not be delivered, 5 lost");
}

#[tokio::test(flavor = "current_thread")]
async fn a_backend_that_hangs_costs_the_deadline_and_the_spans() {
    let tracing = builder().with_transport(Hang).build().unwrap();
    record(&tracing, 5);
    let error = tracing.flush(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), FlushErrorKind::Timeout);
    let error = tracing.shutdown(SHORT).await.unwrap_err();
    assert_eq!(error.kind(), ShutdownErrorKind::Timeout);
    assert_eq!(error.lost_spans(), 5);
    is_accounted_for(&tracing.stats());
    assert_eq!(tracing.stats().dropped.shutdown, 5);
}

#[test]
fn a_program_without_a_runtime_blocks_instead() {
    let tracing = builder().with_transport(Discard::new()).build().unwrap();
    record(&tracing, 2);
    tracing.blocking_flush(LONG).unwrap();
    assert_eq!(tracing.blocking_shutdown(LONG).unwrap().exported, 2);
    assert!(tracing.blocking_flush(LONG).is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn twice_and_by_several_gives_one_answer() {
    let tracing = builder().with_transport(Refuse).build().unwrap();
    record(&tracing, 1);
    let clone = tracing.clone();
    let (first, second) = tokio::join!(tracing.shutdown(LONG), clone.shutdown(LONG));
    assert_eq!(first, second);
    assert_eq!(tracing.shutdown(LONG).await, first);
}

#[tokio::test(flavor = "current_thread")]
async fn a_span_that_ends_later_is_counted_as_dropped() {
    let tracing = builder().with_transport(Discard::new()).build().unwrap();
    let mut late = tracing.tracer("test").start("late");
    tracing.shutdown(LONG).await.unwrap();
    late.end();
    let stats = tracing.stats();
    assert_eq!((stats.ended, stats.dropped.shutdown), (1, 1));
    is_accounted_for(&stats);
}

#[tokio::test(flavor = "current_thread")]
async fn from_then_on_the_layers_pass_contexts_on() {
    let tracing = builder().with_transport(Discard::new()).build().unwrap();
    let mut service = ServiceBuilder::new()
        .layer(tracing.http_server())
        .layer(tracing.http_client())
        .service(service_fn(|request: Request<()>| async move {
            let response = Response::builder().header("x-sent", &request.headers()["traceparent"]);
            Ok::<_, Infallible>(response.body(Empty::<&[u8]>::new()).unwrap())
        }));
    let mut sent = async || {
        let request = Request::get("/")
            .header("traceparent", TRACEPARENT)
            .body(());
        let response = service
            .ready()
            .await
            .unwrap()
            .call(request.unwrap())
            .await
            .unwrap();
        let sent = response.headers()["x-sent"].to_str().unwrap().to_owned();
        response.into_body().collect().await.unwrap();
        sent
    };
    assert_ne!(sent().await, TRACEPARENT);
    let stats = tracing.shutdown(LONG).await.unwrap();
    assert_eq!(stats.exported, 2);
    assert_eq!(sent().await, TRACEPARENT);
    assert_eq!(tracing.stats(), stats);
}

#[tokio::test(flavor = "current_thread")]
async fn the_switch_works_while_it_serves() {
    let tracing = builder().with_transport(Discard::new()).build().unwrap();
    record(&tracing, 1);
    tracing.control().set_enabled(false);
    assert!(!tracing.is_enabled());
    record(&tracing, 1);
    tracing.control().set_enabled(true);
    record(&tracing, 1);
    tracing.control().set_rate(Rate::NEVER);
    record(&tracing, 1);
    assert_eq!(tracing.shutdown(LONG).await.unwrap().ended, 2);
}

#[tokio::test(flavor = "current_thread")]
async fn span_processors_of_the_program_see_every_span() {
    let seen = InMemorySpanExporter::default();
    let tracing = builder()
        .with_span_processor(SimpleSpanProcessor::new(seen.clone()))
        .with_transport(Discard::new())
        .build()
        .unwrap();
    record(&tracing, 2);
    assert_eq!(seen.get_finished_spans().unwrap().len(), 2);
    assert_eq!(tracing.shutdown(LONG).await.unwrap().exported, 2);

    // Alone they are enough.
    let tracing = builder()
        .with_span_processor(SimpleSpanProcessor::new(seen.clone()))
        .build()
        .unwrap();
    record(&tracing, 1);
    assert_eq!(seen.get_finished_spans().unwrap().len(), 3);
    assert_eq!(tracing.shutdown(LONG).await.unwrap(), Stats::default());
}

#[tokio::test(flavor = "current_thread")]
async fn a_provider_that_was_brought_along_is_left_alone() {
    let seen = InMemorySpanExporter::default();
    let sampler = Sampler::new(Control::default());
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler.clone())
        .with_simple_exporter(seen.clone())
        .build();
    let tracing = builder()
        .with_provider(provider, sampler.clone())
        .build()
        .unwrap();
    assert_eq!(sampler.control().rate(), Rate::ALWAYS);
    record(&tracing, 1);
    assert_eq!(tracing.shutdown(LONG).await.unwrap(), Stats::default());
    record(&tracing, 1);
    assert_eq!(seen.get_finished_spans().unwrap().len(), 2);
}
