//! Whatever a backend does: each span that ended was exported or dropped, what is counted as
//! exported has arrived, and nothing has arrived that was not sent.
//!
//! Every run has a seed. `TOWLINE_SEED=17 cargo test -p towline-integration accounted` runs one alone:
//! its answers come again as they were, in the order of the requests.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanProcessor;
use towline_otlp::policy::Backoff;
use towline_otlp::{ExportError, ExportErrorKind, Exporter, PeerStatus, Processor, Stats};
use towline_test_support::collector::{Answer, Collector, Refusal};
use towline_test_support::transport::{MemoryTransport, Reply};
use towline_test_support::{Mix, number_of, numbered_span};

const LONG: Duration = Duration::from_secs(60);

/// By a clock that runs ahead: long enough for every retry of every batch.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Threads that end spans, and how many each.
const THREADS: u64 = 3;
const SPANS: u64 = 60;

/// Runs every seed, or the one that is asked for; several at a time, since most of it is waiting.
pub(crate) fn for_seeds(seeds: Range<u64>, at_once: usize, run: impl Fn(u64) + Sync) {
    if let Some(seed) = std::env::var("TOWLINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        return run(seed);
    }
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| seeds.contains(seed))
                {
                    // So that a failure says which.
                    let name = Seed(seed);
                    run(seed);
                    std::mem::forget(name);
                }
            });
        }
    });
}

/// Named when a test panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        eprintln!("the seed was {}", self.0);
    }
}

/// Ends spans on several threads, with flushes between them, and shuts down.
fn traffic(seed: u64, processor: &Processor, exporter: &Exporter, halfway: impl FnOnce()) -> Stats {
    let part = |numbers: Range<u64>| {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let numbers = numbers.clone();
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed ^ thread << 32);
                    for number in numbers {
                        processor.on_end(numbered_span(1 + thread * SPANS + number));
                        if random.u8(..) < 8 {
                            let _ = exporter.blocking_flush(LONG);
                        }
                    }
                });
            }
        });
    };
    part(0..SPANS / 2);
    halfway();
    part(SPANS / 2..SPANS);
    match exporter.blocking_shutdown(DAY) {
        Ok(summary) => summary.stats,
        Err(error) => {
            let stats = error.stats();
            assert!(error.lost_spans() <= stats.dropped.total(), "{error}");
            stats
        }
    }
}

#[track_caller]
fn assert_accounted_for(stats: &Stats, accepted: &HashMap<SpanId, usize>) {
    assert_eq!(stats.ended, THREADS * SPANS, "{stats:?}");
    assert_eq!((stats.held, stats.in_flight), (0, 0), "{stats:?}");
    assert_eq!(
        stats.ended,
        stats.exported + stats.dropped.total(),
        "{stats:?}"
    );
    assert_eq!(accepted.len() as u64, stats.exported, "{stats:?}");
    for (id, times) in accepted {
        assert!(
            (1..=THREADS * SPANS).contains(&number_of(*id)),
            "{id} was never sent"
        );
        // The collector answers what it accepts, so nothing is sent twice.
        assert_eq!(*times, 1, "{id}");
    }
}

/// In memory, where a clock that runs ahead makes every wait short: what hangs, hangs for good.
#[test]
fn every_span_is_accounted_for_in_memory() {
    hush();
    for_seeds(0..400, 2, |seed| {
        let fail = |kind| Reply::error(ExportError::new(kind, "made up"));
        let transport = MemoryTransport::mix(
            Mix::new(seed)
                .weight(10, Reply::ok())
                .weight(3, fail(ExportErrorKind::Unreachable))
                .weight(
                    2,
                    Reply::refused(PeerStatus::Grpc(14)).retry_after(Duration::from_secs(2)),
                )
                .weight(1, Reply::refused(PeerStatus::Grpc(3)))
                .weight(1, Reply::refused(PeerStatus::Http(503)))
                .weight(2, Reply::partial(1, "one is old"))
                .weight(1, Reply::partial(1_000, "nonsense"))
                .weight(1, fail(ExportErrorKind::TooLarge))
                .weight(1, fail(ExportErrorKind::InvalidResponse))
                .weight(1, Reply::delayed(Duration::from_secs(3), Reply::ok()))
                .weight(1, Reply::hang())
                .weight(1, Reply::panic("the transport panics, as it should")),
        );
        let (processor, exporter) = Exporter::builder()
            .transport(transport.clone())
            .batch_spans(1 + seed as usize % 20)
            .concurrency(1 + seed as usize % 3)
            // Small enough to be full now and then.
            .buffer_bytes(if seed % 5 == 0 { 24 << 10 } else { 1 << 20 })
            .batch_bytes(4 << 10)
            .backoff(Backoff::new().max_elapsed(Duration::from_secs(20)))
            .configure_runtime(|builder| {
                builder.start_paused(true);
            })
            .build()
            .unwrap();
        let stats = traffic(seed, &processor, &exporter, || {});
        assert_accounted_for(&stats, &transport.accepted());
    });
}

/// Keeps the panics of transports, which are meant to be, from the output.
fn hush() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some("towline-otlp") {
            hook(info);
        }
    }));
}

/// Over sockets, with a collector that also goes away in the middle and comes back.
#[test]
fn every_span_is_accounted_for_over_sockets() {
    for_seeds(0..200, 16, |seed| {
        let collector = Collector::builder()
            .mix(
                Mix::new(seed)
                    .weight(14, Answer::ok())
                    .weight(3, Answer::status(Refusal::Unavailable))
                    .weight(
                        1,
                        Answer::status(Refusal::Unavailable).retry_after(Duration::ZERO),
                    )
                    .weight(2, Answer::status(Refusal::InvalidArgument))
                    .weight(2, Answer::partial(1, "one is old"))
                    .weight(1, Answer::reset())
                    .weight(1, Answer::close())
                    .weight(1, Answer::reset_mid_body())
                    .weight(1, Answer::garbage(vec![0xff; 300]))
                    .weight(u32::from(seed % 8 == 0), Answer::hang()),
            )
            .start();
        let url = if seed % 2 == 0 {
            collector.grpc_url()
        } else {
            collector.http_url()
        };
        let (processor, exporter) = Exporter::builder()
            .url(url)
            .batch_spans(1 + seed as usize % 20)
            // Over HTTP/2 all requests share a connection, and a reset takes the answers of all.
            .concurrency(if seed % 2 == 0 {
                1
            } else {
                1 + seed as usize % 3
            })
            // Much longer than a busy machine takes for an answer, so that only what hangs ends by it.
            .attempt_timeout(Duration::from_secs(2))
            .backoff(
                Backoff::new()
                    .initial(Duration::from_millis(2))
                    .max_delay(Duration::from_millis(20))
                    .max_elapsed(Duration::from_millis(500)),
            )
            .build()
            .unwrap();
        let stats = traffic(seed, &processor, &exporter, || {
            if seed % 3 == 0 {
                collector.restart();
            }
        });
        assert!(
            collector.unusable_requests().is_empty(),
            "{:?}",
            collector.unusable_requests()
        );
        assert_accounted_for(&stats, &collector.accepted());
    });
}
