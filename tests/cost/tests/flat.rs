//! Memory does not grow with the spans that have gone through the exporter, and every one of them is accounted for.
//!
//! `TOWLINE_COST_SPANS=10000000 cargo test --release -p towline-cost --test flat -- --nocapture` does as many as that
//! says, in place of 300,000, and tells the figures.

use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SpanProcessor;
use peak_alloc::PeakAlloc;
use towline_cost::span::span;
use towline_otlp::{Discard, Exporter, Stats};

/// What every thread of this program holds.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SPANS: u64 = 300_000;

/// After each of so many parts it is seen what is held.
const PARTS: u64 = 10;

const THREADS: u64 = 4;

/// The exporter's buffer: a part of the spans is many times that.
const BUFFER_BYTES: usize = 4 << 20;

/// So many spans are more than a batch and, with a few hundred of each thread, less than the buffer.
const HELD_SPANS: u64 = 3_000;

/// A patient thread looks for room after so many.
const ROOM_SPANS: u64 = 100;

/// How much more may be held after the last part than after the first, beside the blocks that the exporter keeps to be used
/// again: these are within the bound of its buffer, and how many there are depends on how the threads came to run.
const GROWTH_BYTES: usize = 32 << 10;

/// What may be held at the peak beside the buffer: stacks' worth of spans in the making, and the runtime of the export
/// thread.
const BESIDE_BYTES: usize = 1 << 20;

#[track_caller]
fn assert_accounted_for(stats: &Stats) {
    let found = stats.exported + stats.dropped.total() + stats.held + stats.in_flight;
    assert_eq!(stats.ended, found, "{stats:?}");
}

/// Waits until the export thread has taken most of what is there.
fn wait_for_room(exporter: &Exporter) {
    while exporter.stats().held + exporter.stats().in_flight > HELD_SPANS {
        thread::yield_now();
    }
}

#[test]
fn memory_is_flat_however_many_spans_end() {
    let spans = std::env::var("TOWLINE_COST_SPANS").map_or(SPANS, |spans| {
        let spans = spans.replace('_', "");
        spans.parse().expect("TOWLINE_COST_SPANS is a number")
    });
    let each = (spans / (PARTS * THREADS)).max(1);
    let (processor, exporter) = Exporter::builder()
        .transport(Discard::new())
        .buffer_bytes(BUFFER_BYTES)
        .build()
        .unwrap();
    let before = MEMORY.current_usage();
    let started = Instant::now();
    let mut held = Vec::with_capacity(PARTS as usize);
    for part in 1..=PARTS {
        // One part in a hurry, as much as the threads can; one for which there always is room.
        let is_patient = part % 2 == 0;
        let refused = exporter.stats().dropped.buffer_full;
        MEMORY.reset_peak_usage();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for number in 0..each {
                        if is_patient && number % ROOM_SPANS == 0 {
                            wait_for_room(&exporter);
                        }
                        processor.on_end(span());
                    }
                });
            }
        });
        exporter.blocking_flush(Duration::from_secs(60)).unwrap();
        let stats = exporter.stats();
        assert_accounted_for(&stats);
        assert_eq!(stats.ended, part * each * THREADS);
        assert_eq!((stats.held, stats.in_flight), (0, 0), "{stats:?}");
        assert!(
            !is_patient || stats.dropped.buffer_full == refused,
            "{stats:?}"
        );
        let peak = MEMORY.peak_usage().saturating_sub(before);
        assert!(
            peak < BUFFER_BYTES + BESIDE_BYTES,
            "{peak} bytes in part {part}"
        );
        let now = MEMORY.current_usage().saturating_sub(before);
        held.push(now.saturating_sub(stats.buffer_bytes));
        println!(
            "{} spans: {now} bytes held, {} of them in blocks to be used again, {peak} at the peak; {} exported, {} \
             refused by a full buffer",
            stats.ended, stats.buffer_bytes, stats.exported, stats.dropped.buffer_full,
        );
    }
    let stats = exporter.stats();
    assert_eq!(
        stats.exported + stats.dropped.buffer_full,
        stats.ended,
        "{stats:?}"
    );
    println!("{:.1} s, {stats:?}", started.elapsed().as_secs_f64());
    let (first, last) = (held[0], held[held.len() - 1]);
    assert!(
        last.abs_diff(first) < GROWTH_BYTES,
        "{first} bytes beside the buffer after the first part, {last} after the last: {held:?}"
    );
}
