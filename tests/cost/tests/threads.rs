//! Eight threads that end spans at once: none of them allocates for a span, and the accounts add up at any moment.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_cost::span::span;
use towline_otlp::{Discard, Exporter, Stats};
use towline_test_support::allocations;

const THREADS: usize = 8;

const DEADLINE: Duration = Duration::from_secs(60);

#[track_caller]
fn assert_accounted_for(stats: &Stats) {
    let found = stats.exported + stats.dropped.total() + stats.held + stats.in_flight;
    assert_eq!(stats.ended, found, "{stats:?}");
}

fn spans(count: usize) -> Vec<SpanData> {
    std::iter::repeat_with(span).take(count).collect()
}

#[test]
fn in_a_steady_state_no_thread_allocates_for_a_span() {
    // All of a round fit into one batch, so that it does not depend on how quick the export thread is which blocks there
    // are to be used again.
    const EACH: usize = 60;
    const WARM_UPS: usize = 4;
    const ROUNDS: usize = WARM_UPS + 8;
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .build()
        .unwrap();
    let (start, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let made: Vec<Vec<u64>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = Vec::with_capacity(ROUNDS);
                    for _ in 0..ROUNDS {
                        let spans = spans(EACH);
                        start.wait();
                        let work = || spans.into_iter().for_each(|span| processor.on_end(span));
                        made.push(allocations::count(work).1.count);
                        end.wait();
                    }
                    made
                })
            })
            .collect();
        for round in 1..=ROUNDS {
            start.wait();
            end.wait();
            exporter.blocking_flush(DEADLINE).unwrap();
            let stats = exporter.stats();
            let ended = (round * THREADS * EACH) as u64;
            assert_eq!((stats.ended, stats.exported), (ended, ended), "{stats:?}");
        }
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for made in made {
        assert_eq!(made[WARM_UPS..], [0; ROUNDS - WARM_UPS], "{made:?}");
    }
}

#[test]
fn the_accounts_add_up_at_any_moment_while_all_of_them_are_in_a_hurry() {
    const EACH: usize = 5_000;
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .buffer_bytes(1 << 20)
        .batch_bytes(64 << 10)
        .build()
        .unwrap();
    let done = AtomicBool::new(false);
    let (made, looked) = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let (mut looked, mut ended) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let stats = exporter.stats();
                assert_accounted_for(&stats);
                assert!(stats.ended >= ended, "{stats:?} after {ended}");
                (looked, ended) = (looked + 1, stats.ended);
            }
            looked
        });
        let threads = [(); THREADS].map(|()| {
            scope.spawn(|| {
                let mut made = 0;
                for _ in 0..EACH {
                    let span = span();
                    made += allocations::count(|| processor.on_end(span)).1.count;
                }
                made
            })
        });
        let made: u64 = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        done.store(true, Ordering::Relaxed);
        (made, looking.join().unwrap())
    });
    exporter.blocking_flush(DEADLINE).unwrap();
    let stats = exporter.stats();
    assert_accounted_for(&stats);
    let ended = (THREADS * EACH) as u64;
    assert_eq!(stats.ended, ended, "{stats:?}");
    assert_eq!(
        stats.exported + stats.dropped.buffer_full,
        ended,
        "{stats:?}"
    );
    assert!(looked > 0);
    // A block of 64 KiB for some hundred spans, where none is kept to be used again.
    assert!(made < ended / 50, "{made} allocations for {ended} spans");
}
