//! Every span is somewhere, at any moment, and memory has an end.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_otlp::policy::Backoff;
use towline_otlp::{Batch, ExportError, ExportErrorKind, Exporter, PeerStatus, Receipt, Stats};

use crate::support::collector::spans;
use crate::support::spans::{number, span};
use crate::support::transport::{Answer, Scripted, decode};

const LONG: Duration = Duration::from_secs(60);

#[track_caller]
fn assert_accounted_for(stats: &Stats) {
    let found = stats.exported + stats.dropped.total() + stats.held + stats.in_flight;
    assert_eq!(stats.ended, found, "{stats:?}");
}

/// Keeps panics of the export thread, which are meant to be, from the output.
fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some("towline-otlp") {
                hook(info);
            }
        }));
    });
}

/// A span of about so many bytes.
fn large(number: u64, bytes: usize) -> SpanData {
    let mut span = span(number);
    span.attributes
        .push(KeyValue::new("filler", "x".repeat(bytes)));
    span
}

/// The numbers of the spans in a batch, in order.
fn numbers(batch: &Batch) -> Vec<u64> {
    spans(&decode(batch))
        .iter()
        .map(|span| number(&span.span_id))
        .collect()
}

/// One of everything that can happen to a batch, by a number.
fn answer(random: u64) -> Answer {
    let fail = |kind| Err(ExportError::new(kind, "made up"));
    let refuse = |status| Err(ExportError::refused("made up", status));
    let result = match random % 12 {
        0 => refuse(PeerStatus::Http(400)),
        1 => refuse(PeerStatus::Http(503)),
        2 => fail(ExportErrorKind::Unreachable),
        3 => fail(ExportErrorKind::TooLarge),
        4 => fail(ExportErrorKind::Other),
        5 => Ok(Receipt::partial(3, "three are bad")),
        6 => Ok(Receipt::partial(usize::MAX, "nonsense")),
        7 => panic!("the transport panics, as it should"),
        8 => return Box::pin(std::future::pending()),
        _ => Ok(Receipt::accepted()),
    };
    Box::pin(async move {
        tokio::task::yield_now().await;
        result
    })
}

#[test]
fn whatever_a_backend_does_the_sums_are_right() {
    hush();
    const THREADS: u64 = 4;
    const SPANS: u64 = 2_000;
    for (seed, concurrency) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 8)] {
        let rng = std::sync::Mutex::new(fastrand::Rng::with_seed(seed));
        let transport = Scripted::new(move |_, _| {
            let random = rng.lock().unwrap().u64(..);
            answer(random)
        });
        let limit = 256 << 10;
        let (processor, exporter) = Exporter::builder()
            .transport(transport.clone())
            .buffer_bytes(limit)
            .batch_bytes(8 << 10)
            .concurrency(concurrency)
            .attempt_timeout(Duration::from_millis(5))
            .backoff(
                Backoff::new()
                    .initial(Duration::from_millis(1))
                    .max_elapsed(Duration::from_millis(10)),
            )
            .build()
            .unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = Stats::default();
                while !done.load(Ordering::Relaxed) {
                    let stats = exporter.stats();
                    assert_accounted_for(&stats);
                    assert!(stats.buffer_bytes <= limit, "{stats:?}");
                    assert!(stats.ended >= last.ended && stats.exported >= last.exported);
                    last = stats;
                }
            });
            let senders: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (processor, exporter) = (&processor, &exporter);
                    scope.spawn(move || {
                        for index in 0..SPANS {
                            let number = thread * SPANS + index;
                            let span = if index % 500 == 0 {
                                large(number, 20 << 10)
                            } else {
                                span(number)
                            };
                            processor.on_end(span);
                            if index % 400 == 0 {
                                let _ = exporter.blocking_flush(Duration::from_millis(20));
                            }
                        }
                    })
                })
                .collect();
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            done.store(true, Ordering::Relaxed);
        });
        let result = exporter.blocking_shutdown(LONG);
        let stats = result
            .as_ref()
            .map_or_else(|error| error.stats(), |summary| summary.stats);
        assert_accounted_for(&stats);
        assert_eq!(stats.ended, THREADS * SPANS);
        assert_eq!((stats.held, stats.in_flight), (0, 0));
        // What was taken in whole or in part is what was exported, none of it twice.
        let taken: Vec<_> = transport.taken().iter().flat_map(numbers).collect();
        let distinct: HashSet<_> = taken.iter().collect();
        assert_eq!(distinct.len(), taken.len(), "seed {seed}");
        assert!(taken.len() as u64 >= stats.exported);
    }
}

#[test]
fn each_loss_has_its_reason() {
    let count = |error: ExportError| {
        let (processor, exporter) = Exporter::builder()
            .transport(Scripted::failing(error))
            .backoff(Backoff::none())
            .build()
            .unwrap();
        processor.on_end(span(0));
        exporter.blocking_flush(LONG).unwrap_err();
        let stats = exporter.stats();
        assert_accounted_for(&stats);
        (
            stats.dropped.too_large,
            stats.dropped.refused,
            stats.dropped.failed,
        )
    };
    let refused = |status| ExportError::refused("peer", status);
    assert_eq!(
        count(ExportError::new(ExportErrorKind::TooLarge, "")),
        (1, 0, 0)
    );
    assert_eq!(count(refused(PeerStatus::Grpc(3))), (0, 1, 0));
    assert_eq!(count(refused(PeerStatus::Http(401))), (0, 1, 0));
    assert_eq!(count(refused(PeerStatus::Grpc(14))), (0, 0, 1));
    assert_eq!(
        count(ExportError::new(ExportErrorKind::Unreachable, "")),
        (0, 0, 1)
    );
    assert_eq!(
        count(ExportError::new(ExportErrorKind::Other, "")),
        (0, 0, 1)
    );
}

#[test]
fn a_partial_success_counts_both_ways() {
    let transport =
        Scripted::new(|_, _| Box::pin(std::future::ready(Ok(Receipt::partial(3, "bad")))));
    let (processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .build()
        .unwrap();
    (0..10).for_each(|number| processor.on_end(span(number)));
    assert_eq!(exporter.blocking_flush(LONG).unwrap_err().lost_spans(), 3);
    let stats = exporter.stats();
    assert_eq!(
        (stats.exported, stats.dropped.refused, stats.failed_attempts),
        (7, 3, 0)
    );
    assert_eq!(transport.calls(), 1, "a partial success is not tried again");
}

#[test]
fn a_transport_that_panics_takes_only_its_batch_with_it() {
    hush();
    let transport = Scripted::new(|call, _| match call {
        0 => panic!("as it should"),
        _ => Box::pin(std::future::ready(Ok(Receipt::accepted()))),
    });
    let (processor, exporter) = Exporter::builder().transport(transport).build().unwrap();
    processor.on_end(span(0));
    assert_eq!(exporter.blocking_flush(LONG).unwrap_err().lost_spans(), 1);
    processor.on_end(span(1));
    exporter.blocking_flush(LONG).unwrap();
    let stats = exporter.stats();
    assert_eq!((stats.exported, stats.dropped.failed), (1, 1));
}

/// Takes nothing before it is opened, once for each batch.
fn gated() -> (Scripted, std::sync::Arc<tokio::sync::Semaphore>) {
    let open = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let gate = std::sync::Arc::clone(&open);
    let transport = Scripted::new(move |_, _| {
        let gate = std::sync::Arc::clone(&gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(Receipt::accepted())
        })
    });
    (transport, open)
}

#[test]
fn batches_keep_order_and_limit() {
    let (transport, open) = gated();
    let (processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    for index in 0..1_000 {
        let scope = InstrumentationScope::builder(["a", "b", "c"][index as usize % 3]).build();
        processor.on_end(SpanData {
            instrumentation_scope: scope,
            ..span(index)
        });
    }
    open.add_permits(1_000);
    exporter.blocking_flush(LONG).unwrap();
    let batches = transport.taken();
    assert!(batches.len() > 10);
    assert!(batches.iter().all(|batch| batch.len_bytes() <= 4 << 10));
    // Nearly full: none but the last is a rest, and none but the first was due sooner.
    assert!(
        batches[1..batches.len() - 1]
            .iter()
            .all(|batch| batch.len_bytes() > 3 << 10)
    );
    // Within a batch by scope, within a scope and from batch to batch by time.
    let mut next = 0;
    for batch in &batches {
        let mut numbers = numbers(batch);
        numbers.sort_unstable();
        assert_eq!(
            numbers,
            (next..next + batch.spans() as u64).collect::<Vec<_>>()
        );
        next += batch.spans() as u64;
    }
}

#[test]
fn batches_and_the_buffer_can_be_limited_in_spans() {
    let transport = Scripted::accepting();
    let (processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .batch_spans(3)
        .flush_interval(LONG * 60)
        .build()
        .unwrap();
    (0..8).for_each(|number| processor.on_end(span(number)));
    exporter.blocking_flush(LONG).unwrap();
    let taken = transport.taken();
    assert!(taken.iter().all(|batch| batch.spans() <= 3), "{taken:?}");
    assert_eq!(taken.iter().flat_map(numbers).count(), 8);

    // Those on their way count.
    let (processor, exporter) = Exporter::builder()
        .transport(Scripted::hanging())
        .batch_spans(3)
        .buffer_spans(5)
        .flush_interval(LONG * 60)
        .build()
        .unwrap();
    (0..20).for_each(|number| processor.on_end(span(number)));
    let stats = exporter.stats();
    assert_eq!(
        (stats.held + stats.in_flight, stats.dropped.buffer_full),
        (5, 15)
    );
}

#[test]
fn a_span_larger_than_a_batch_goes_alone() {
    let transport = Scripted::accepting();
    let (processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .buffer_bytes(256 << 10)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    processor.on_end(span(0));
    processor.on_end(large(1, 100 << 10));
    processor.on_end(span(2));
    exporter.blocking_flush(LONG).unwrap();
    let sizes: Vec<_> = transport.taken().iter().map(numbers).collect();
    assert_eq!(sizes, [[0], [1], [2]]);
    assert!(exporter.stats().buffer_bytes < 32 << 10);
}

#[test]
fn a_span_whose_scope_has_no_room_leaves_nothing_behind() {
    let (processor, exporter) = Exporter::builder()
        .transport(Scripted::accepting())
        .buffer_bytes(256 << 10)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    let mut refused = large(0, 60 << 10);
    refused.instrumentation_scope = InstrumentationScope::builder("s".repeat(300 << 10)).build();
    processor.on_end(refused);
    let stats = exporter.stats();
    assert_eq!((stats.dropped.buffer_full, stats.buffer_bytes), (1, 0));
    // It takes most of the buffer.
    processor.on_end(large(1, 100 << 10));
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(exporter.stats().exported, 1);
}

#[test]
fn a_span_larger_than_the_buffer_is_dropped_alone() {
    let transport = Scripted::accepting();
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .buffer_bytes(256 << 10)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    processor.on_end(span(0));
    processor.on_end(large(1, 200 << 10));
    processor.on_end(span(2));
    exporter.blocking_flush(LONG).unwrap();
    let stats = exporter.stats();
    assert_eq!(
        (stats.ended, stats.exported, stats.dropped.too_large),
        (3, 2, 1)
    );
}

#[test]
fn a_full_buffer_takes_spans_again_once_it_is_drained() {
    let (transport, open) = gated();
    let limit = 64 << 10;
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .buffer_bytes(limit)
        .batch_bytes(4 << 10)
        .build()
        .unwrap();
    (0..2_000).for_each(|number| processor.on_end(span(number)));
    let full = exporter.stats();
    assert_accounted_for(&full);
    assert!(full.dropped.buffer_full > 1_000, "{full:?}");
    assert!(full.buffer_bytes <= limit, "{full:?}");
    // It holds what it has room for: two thirds at the least, less what is set aside.
    assert!(full.buffer_bytes > 2 * limit / 3, "{full:?}");

    open.add_permits(1_000);
    exporter.blocking_flush(LONG).unwrap();
    let drained = exporter.stats();
    processor.on_end(span(0));
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(exporter.stats().exported, drained.exported + 1);
    assert_eq!(exporter.stats().dropped, drained.dropped);
}

#[test]
fn a_batch_is_sent_when_half_of_it_is_there_or_when_its_time_has_come() {
    let wait_for = |exporter: &Exporter, exported: u64| {
        let started = std::time::Instant::now();
        while exporter.stats().exported < exported {
            assert!(started.elapsed() < LONG, "{:?}", exporter.stats());
            std::thread::yield_now();
        }
    };
    let transport = Scripted::accepting();
    let build = |interval| {
        Exporter::builder()
            .transport(transport.clone())
            .batch_bytes(4 << 10)
            .flush_interval(interval)
            .build()
            .unwrap()
    };
    // Half full, and no sooner.
    let (processor, exporter) = build(LONG * 60);
    let resource = Resource::builder_empty().build();
    let bytes = |spans| Batch::encode(&resource, std::iter::repeat_n(&span(0), spans)).len_bytes();
    // What it takes in the buffer is a few bytes more.
    let each = bytes(2) - bytes(1);
    let (below, above) = ((2 << 10) / (each + 8), (2 << 10) / each + 1);
    assert!(below > 1 && above * (each + 8) < 4 << 10, "{each}");
    let (below, above) = (below as u64, above as u64);
    (0..below).for_each(|number| processor.on_end(span(number)));
    assert_eq!(exporter.stats().held, below);
    (below..above).for_each(|number| processor.on_end(span(number)));
    wait_for(&exporter, below);
    // In time.
    let (processor, exporter) = build(Duration::from_millis(20));
    for exported in 1..4 {
        processor.on_end(span(exported));
        wait_for(&exporter, exported);
    }
}

#[test]
fn a_span_that_ends_with_its_thread_is_kept() {
    struct EndsLate(std::sync::Arc<towline_otlp::Processor>);
    impl Drop for EndsLate {
        fn drop(&mut self) {
            self.0.on_end(span(1));
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<EndsLate>> = const { std::cell::RefCell::new(None) };
    }
    let (processor, exporter) = Exporter::builder()
        .transport(Scripted::accepting())
        .build()
        .unwrap();
    let processor = std::sync::Arc::new(processor);
    let late = EndsLate(std::sync::Arc::clone(&processor));
    let ending = std::thread::spawn(move || {
        // Registered before the scratch of the encoder, so dropped after it.
        LATE.set(Some(late));
        processor.on_end(span(0));
    });
    ending.join().unwrap();
    exporter.blocking_flush(LONG).unwrap();
    assert_eq!(exporter.stats().exported, 2);
}
