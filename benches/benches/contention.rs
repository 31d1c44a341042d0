//! Threads that end spans at once, into one exporter: what a span takes of a thread's processor time, beside what it takes
//! where each thread has an exporter of its own, and where there is one thread.
//!
//! The transports discard. The spans have the 13 attributes of an HTTP server span; freeing them is counted alike on all
//! sides. Medians of rounds that take turns: here the quickest round would be the one in which the threads happened not to
//! meet. Threads that wait for the lock sleep, which takes no processor time but for going to sleep and waking up.
//!
//! A span without attributes is nearly all lock: what it takes is the most that the lock is held for one.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench is run by people, and may fail"
)]

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use towline_cost::span::span;
use towline_otlp::{Discard, Exporter, Processor};

/// Those of one thread in one round; with all threads they fit into the buffer.
const SPANS: usize = 1024;

const THREADS: [usize; 3] = [2, 4, 8];

/// The processor time of this thread so far.
#[cfg(unix)]
fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap())
}

/// Where nothing better is known: the time of the wall.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// An exporter, and its end inside the SDK.
struct Pipeline {
    processor: Processor,
    exporter: Exporter,
}

impl Pipeline {
    fn new() -> Self {
        let builder = Exporter::builder().transport(Discard::new());
        let (processor, exporter) = builder.build().unwrap();
        Self {
            processor,
            exporter,
        }
    }

    /// Sees to it that every span was taken, and makes room.
    fn flush(&self) {
        self.exporter
            .blocking_flush(Duration::from_secs(60))
            .unwrap();
        let stats = self.exporter.stats();
        assert_eq!(stats.ended, stats.exported, "{stats:?}");
    }
}

/// The processor time of threads that end [`SPANS`] spans each, one thread for each pipeline named.
fn round(pipelines: &[&Pipeline], span: &SpanData) -> Duration {
    let start = Barrier::new(pipelines.len());
    let (start, mut total) = (&start, Duration::ZERO);
    thread::scope(|scope| {
        let threads: Vec<_> = pipelines
            .iter()
            .map(|pipeline| {
                scope.spawn(move || {
                    let spans = vec![span.clone(); SPANS];
                    start.wait();
                    let before = processor_time();
                    for span in spans {
                        pipeline.processor.on_end(span);
                    }
                    processor_time() - before
                })
            })
            .collect();
        for thread in threads {
            total += thread.join().unwrap();
        }
    });
    pipelines.iter().for_each(|pipeline| pipeline.flush());
    total
}

/// Nanoseconds for each span, in the median of the rounds.
fn median(rounds: &mut [Duration], threads: usize) -> f64 {
    rounds.sort_unstable();
    let middle = rounds.get(rounds.len() / 2).unwrap();
    middle.as_nanos() as f64 / (threads * SPANS) as f64
}

fn table(all: &[Pipeline]) {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let rounds = if is_test { 1 } else { 400 };
    let (span, bare) = (
        span(),
        SpanData {
            attributes: Vec::new(),
            ..span()
        },
    );
    let (mut alone, mut locked) = (Vec::new(), Vec::new());
    let mut others = THREADS.map(|threads| (threads, Vec::new(), Vec::new()));
    for _ in 0..rounds {
        alone.push(round(&shared(all, 1), &span));
        locked.push(round(&shared(all, 1), &bare));
        for (threads, shared_by, own) in &mut others {
            shared_by.push(round(&shared(all, *threads), &span));
            let each: Vec<_> = all.iter().take(*threads).collect();
            own.push(round(&each, &span));
        }
    }
    let alone = median(&mut alone, 1);
    println!("1 thread: {alone:.0} ns a span");
    println!(
        "of which at most {:.0} ns under the lock: that is what a span without attributes takes",
        median(&mut locked, 1)
    );
    for (threads, shared_by, own) in &mut others {
        let (shared_by, own) = (median(shared_by, *threads), median(own, *threads));
        println!(
            "{threads} threads: {shared_by:.0} ns a span, {:.2} of one thread's; with an exporter each {own:.0} ns, {:.2}",
            shared_by / alone,
            own / alone
        );
    }
}

/// The first one, for so many threads.
fn shared(all: &[Pipeline], threads: usize) -> Vec<&Pipeline> {
    all.iter().take(1).cycle().take(threads).collect()
}

fn main() {
    let all: Vec<_> = (0..8).map(|_| Pipeline::new()).collect();
    table(&all);

    let span = span();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("contention");
    for threads in [1].into_iter().chain(THREADS) {
        let shared = shared(&all, threads);
        group.throughput(Throughput::Elements((threads * SPANS) as u64));
        group.bench_function(format!("{threads} threads, processor time"), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| round(&shared, &span)).sum());
        });
    }
    group.finish();
    criterion.final_summary();
}
