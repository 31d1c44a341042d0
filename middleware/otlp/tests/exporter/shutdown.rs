//! Flush and shutdown end in time, on any runtime and on none, and say what was lost.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor};
use towline_otlp::policy::Backoff;
use towline_otlp::{
    ExportError, ExportErrorKind, Exporter, FlushErrorKind, Processor, Receipt, ShutdownErrorKind,
};

use crate::support::spans::span;
use crate::support::transport::Scripted;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);
/// How much later than its deadline something may end on a machine that does other things as well.
const MARGIN: Duration = Duration::from_secs(10);

fn exporter(transport: &Scripted) -> (Processor, Exporter) {
    Exporter::builder()
        .transport(transport.clone())
        .build()
        .unwrap()
}

fn absent() -> Scripted {
    Scripted::failing(ExportError::new(
        ExportErrorKind::Unreachable,
        "nobody is there",
    ))
}

#[test]
fn shutdown_delivers_what_has_ended_and_counts_what_ends_later() {
    let transport = Scripted::accepting();
    let (processor, exporter) = exporter(&transport);
    (0..10).for_each(|number| processor.on_end(span(number)));
    let summary = exporter.blocking_shutdown(LONG).unwrap();
    assert_eq!((summary.stats.ended, summary.stats.exported), (10, 10));
    assert_eq!(summary.stats.buffer_bytes, 0);

    (10..15).for_each(|number| processor.on_end(span(number)));
    let stats = exporter.stats();
    assert_eq!(
        (stats.ended, stats.exported, stats.dropped.shutdown),
        (15, 10, 5)
    );
    assert_eq!(
        transport
            .taken()
            .iter()
            .map(|batch| batch.spans())
            .sum::<usize>(),
        10
    );
}

#[test]
fn with_a_backend_that_was_never_there_it_does_not_wait() {
    let transport = absent();
    let (processor, exporter) = exporter(&transport);
    (0..10).for_each(|number| processor.on_end(span(number)));
    let started = Instant::now();
    let error = exporter.blocking_shutdown(LONG).unwrap_err();
    assert!(started.elapsed() < MARGIN);
    assert_eq!(
        (error.kind(), error.lost_spans()),
        (ShutdownErrorKind::Lost, 10)
    );
    assert_eq!(error.stats().dropped.failed, 10);
    assert_eq!(transport.calls(), 1);
}

#[test]
fn a_retry_that_waits_is_cut_short() {
    // The first attempt fails before the shutdown, the second comes with it.
    let transport = Scripted::new(|call, _| {
        Box::pin(std::future::ready(match call {
            0 => Err(ExportError::new(ExportErrorKind::Unreachable, "not yet")),
            _ => Ok(Receipt::accepted()),
        }))
    });
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .backoff(
            Backoff::new()
                .initial(LONG)
                .max_delay(LONG)
                .max_elapsed(10 * LONG),
        )
        .build()
        .unwrap();
    processor.on_end(span(0));
    assert_eq!(
        exporter.blocking_flush(SHORT).unwrap_err().kind(),
        FlushErrorKind::Timeout
    );
    let started = Instant::now();
    assert_eq!(exporter.blocking_shutdown(LONG).unwrap().stats.exported, 1);
    assert!(started.elapsed() < MARGIN);
}

#[test]
fn with_a_backend_that_hangs_it_ends_at_the_deadline() {
    let (processor, exporter) = exporter(&Scripted::hanging());
    (0..10).for_each(|number| processor.on_end(span(number)));
    let started = Instant::now();
    let error = exporter.blocking_shutdown(SHORT).unwrap_err();
    assert!(started.elapsed() >= SHORT && started.elapsed() < SHORT + MARGIN);
    assert_eq!(
        (error.kind(), error.lost_spans()),
        (ShutdownErrorKind::Timeout, 10)
    );
    assert_eq!(error.stats().dropped.shutdown, 10);
    assert_eq!(exporter.stats(), error.stats());
}

#[test]
fn a_flush_ends_at_its_deadline_and_the_next_one_tells_the_rest() {
    let (processor, exporter) = exporter(&Scripted::hanging());
    processor.on_end(span(0));
    let started = Instant::now();
    let error = exporter.blocking_flush(SHORT).unwrap_err();
    assert!(started.elapsed() >= SHORT && started.elapsed() < SHORT + MARGIN);
    assert_eq!(
        (error.kind(), error.lost_spans()),
        (FlushErrorKind::Timeout, 0)
    );
    assert_eq!(exporter.stats().in_flight, 1);
}

#[test]
fn a_flush_says_what_was_lost() {
    let refused = Scripted::failing(ExportError::new(ExportErrorKind::TooLarge, "too large"));
    let (processor, exporter) = exporter(&refused);
    (0..3).for_each(|number| processor.on_end(span(number)));
    let error = exporter.blocking_flush(LONG).unwrap_err();
    assert_eq!(
        (error.kind(), error.lost_spans()),
        (FlushErrorKind::Lost, 3)
    );
    // That is over: nothing is lost a second time.
    exporter.blocking_flush(LONG).unwrap();
}

#[test]
fn an_empty_exporter_has_nothing_to_flush() {
    let transport = Scripted::accepting();
    let (_processor, exporter) = exporter(&transport);
    exporter.blocking_flush(LONG).unwrap();
    exporter.blocking_shutdown(LONG).unwrap();
    assert_eq!(transport.calls(), 0);
    assert_eq!(
        exporter.blocking_flush(LONG).unwrap_err().kind(),
        FlushErrorKind::Shutdown
    );
}

#[test]
fn a_second_shutdown_gets_the_answer_of_the_first() {
    let (processor, exporter) = exporter(&absent());
    processor.on_end(span(0));
    let first = exporter.blocking_shutdown(LONG).unwrap_err();
    processor.on_end(span(1));
    assert_eq!(exporter.blocking_shutdown(LONG).unwrap_err(), first);
    assert!(processor.shutdown_with_timeout(LONG).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shutdowns_at_the_same_time_get_the_same_answer() {
    let (processor, exporter) = exporter(&Scripted::hanging());
    (0..10).for_each(|number| processor.on_end(span(number)));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let exporter = exporter.clone();
        // The shortest deadline counts.
        let deadline = if number == 3 { SHORT } else { LONG };
        tasks.spawn(async move { exporter.shutdown(deadline).await });
    }
    let started = Instant::now();
    while let Some(outcome) = tasks.join_next().await {
        assert_eq!(outcome.unwrap().unwrap_err().lost_spans(), 10);
    }
    assert!(started.elapsed() < SHORT + MARGIN);
}

#[tokio::test(flavor = "current_thread")]
async fn a_current_thread_runtime_cannot_deadlock() {
    let transport = Scripted::accepting();
    let (processor, exporter) = exporter(&transport);
    processor.on_end(span(0));
    exporter.flush(LONG).await.unwrap();
    // The blocking forms as well, though they hold up the runtime.
    processor.on_end(span(1));
    exporter.blocking_flush(LONG).unwrap();
    processor.on_end(span(2));
    processor.force_flush().unwrap();
    processor.on_end(span(3));
    assert_eq!(exporter.shutdown(LONG).await.unwrap().stats.exported, 4);
}

/// Runs a future with nothing but a thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn no_runtime_is_needed() {
    let (processor, exporter) = exporter(&Scripted::accepting());
    processor.on_end(span(0));
    block_on(exporter.flush(LONG)).unwrap();
    let hanging = self::exporter(&Scripted::hanging());
    hanging.0.on_end(span(0));
    // Deadlines are kept without a timer of the caller.
    let started = Instant::now();
    block_on(hanging.1.flush(SHORT)).unwrap_err();
    block_on(hanging.1.shutdown(SHORT)).unwrap_err();
    assert!(started.elapsed() < 2 * SHORT + MARGIN);
    block_on(exporter.shutdown(Duration::MAX)).unwrap();
}

#[test]
fn a_future_that_is_dropped_gives_up_waiting_only() {
    let transport = Scripted::accepting();
    let (processor, exporter) = exporter(&transport);
    processor.on_end(span(0));
    {
        let mut flush = pin!(exporter.flush(LONG));
        let _ = flush.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    // Commands are obeyed in order.
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(transport.calls(), 1);
}

#[test]
fn without_handles_what_is_held_is_delivered_and_nobody_waits() {
    let transport = Scripted::accepting();
    let (processor, exporter) = exporter(&transport);
    processor.on_end(span(0));
    drop(exporter);
    drop(processor);
    let started = Instant::now();
    while transport.calls() == 0 {
        assert!(started.elapsed() < MARGIN);
        std::thread::yield_now();
    }

    let (processor, exporter) = self::exporter(&Scripted::hanging());
    processor.on_end(span(0));
    let started = Instant::now();
    drop((processor, exporter));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_provider_flushes_and_shuts_down_through_the_processor() {
    let transport = Scripted::accepting();
    let (processor, exporter) = exporter(&transport);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    provider.tracer("test").in_span("one", |_| {});
    provider.force_flush().unwrap();
    assert_eq!(exporter.stats().exported, 1);
    provider.tracer("test").in_span("two", |_| {});
    provider.shutdown().unwrap();
    assert_eq!(exporter.stats().exported, 2);
    // The provider is shut down, so such spans do not even get here.
    provider.tracer("test").in_span("three", |_| {});
    assert_eq!(exporter.stats().ended, 2);
}

#[test]
fn the_sdk_hears_of_failures() {
    let (processor, _exporter) = exporter(&Scripted::failing(ExportError::new(
        ExportErrorKind::TooLarge,
        "no",
    )));
    processor.on_end(span(0));
    assert!(matches!(
        processor.force_flush(),
        Err(OTelSdkError::InternalFailure(_))
    ));
    processor.shutdown_with_timeout(LONG).unwrap();
    assert!(matches!(
        processor.force_flush(),
        Err(OTelSdkError::AlreadyShutdown)
    ));

    let (processor, _exporter) = exporter(&Scripted::hanging());
    processor.on_end(span(0));
    assert!(matches!(
        processor.shutdown_with_timeout(SHORT),
        Err(OTelSdkError::Timeout(SHORT))
    ));
}
