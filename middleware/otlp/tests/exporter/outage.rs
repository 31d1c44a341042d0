//! Ten minutes without a backend, by a clock that runs ahead: in memory, so that nothing but the
//! exporter decides.

use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use opentelemetry_sdk::trace::SpanProcessor;
use tokio::time::Instant;
use towline_otlp::{ExportError, ExportErrorKind, Exporter, PeerStatus, Processor, Receipt, Stats};

use crate::log::Log;
use crate::support::spans::span;
use crate::support::transport::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(60);

/// How a backend is away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Away {
    Refusing,
    Hanging,
    Resetting,
    Throttling,
    Garbled,
}

const ALL: [Away; 5] = [
    Away::Refusing,
    Away::Hanging,
    Away::Resetting,
    Away::Throttling,
    Away::Garbled,
];

const OUTAGE: Duration = Duration::from_secs(600);
const LIMIT: usize = 256 << 10;

/// What was seen of an outage.
struct Seen {
    attempts: Vec<Duration>,
    lines: Vec<String>,
    stats: Stats,
}

/// The program: it ends spans whenever the backend is tried, more than the buffer has room for.
type Program = Arc<OnceLock<(Processor, Exporter)>>;

/// Says what is wrong with the accounts, if anything is.
fn end_spans(program: &Program) -> Result<(), String> {
    let (processor, exporter) = program.wait();
    (0..200).for_each(|number| processor.on_end(span(number)));
    let stats = exporter.stats();
    let places = stats.exported + stats.dropped.total() + stats.held + stats.in_flight;
    if stats.buffer_bytes <= LIMIT && stats.ended == places {
        Ok(())
    } else {
        Err(format!("{stats:?}"))
    }
}

/// A backend that is away for ten minutes, before it was ever there or after it has worked.
fn outage(away: Away, worked_before: bool) -> Seen {
    let attempts: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let program = Program::default();
    let (over, is_over) = mpsc::channel();
    let transport = {
        let (attempts, program) = (Arc::clone(&attempts), Arc::clone(&program));
        let started = OnceLock::new();
        Scripted::new(move |call, _| -> Answer {
            let elapsed = started.get_or_init(Instant::now).elapsed();
            if let Err(wrong) = end_spans(&program) {
                let _ = over.send(Err(wrong));
            }
            if elapsed >= OUTAGE || (worked_before && call == 0) {
                if call > 0 {
                    let _ = over.send(Ok(()));
                }
                return Box::pin(std::future::ready(Ok(Receipt::accepted())));
            }
            attempts.lock().unwrap().push(elapsed);
            answer(away)
        })
    };
    let log = Log::default();
    let (_program, (processor, exporter)) = log.hears(|| {
        Exporter::builder()
            .transport(transport)
            .buffer_bytes(LIMIT)
            .batch_bytes(16 << 10)
            .configure_runtime(|builder| {
                builder.start_paused(true);
            })
            .build()
            .unwrap()
    });
    processor.on_end(span(0));
    let handle = exporter.clone();
    assert!(program.set((processor, exporter)).is_ok());
    // Two batches, so that the first of them is known to be settled.
    for _ in 0..2 {
        is_over.recv_timeout(LONG).unwrap().unwrap();
    }
    let attempts = attempts.lock().unwrap().clone();
    Seen {
        attempts,
        lines: log.lines(),
        stats: handle.stats(),
    }
}

fn answer(away: Away) -> Answer {
    let error = match away {
        Away::Hanging => return Box::pin(std::future::pending()),
        Away::Refusing | Away::Resetting => {
            ExportError::new(ExportErrorKind::Unreachable, "connection lost")
        }
        Away::Throttling => ExportError::refused("peer", PeerStatus::Http(429))
            .with_retry_after(Duration::from_secs(20)),
        Away::Garbled => ExportError::new(ExportErrorKind::InvalidResponse, "garbage"),
    };
    Box::pin(async move {
        if away == Away::Resetting {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        Err(error)
    })
}

fn levels(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect()
}

#[test]
fn a_backend_that_was_never_there_is_two_lines_in_ten_minutes() {
    for away in [Away::Refusing, Away::Hanging, Away::Resetting] {
        let seen = outage(away, false);
        assert_eq!(
            levels(&seen.lines),
            ["INFO", "INFO"],
            "{away:?}: {:?}",
            seen.lines
        );
        assert!(seen.stats.dropped.buffer_full > 0 && seen.stats.dropped.failed > 0);
    }
}

#[test]
fn a_backend_that_is_lost_is_two_lines_in_ten_minutes() {
    for away in ALL {
        let seen = outage(away, true);
        assert_eq!(
            levels(&seen.lines),
            ["WARN", "INFO"],
            "{away:?}: {:?}",
            seen.lines
        );
    }
}

#[test]
fn attempts_are_few_and_go_on_until_the_end() {
    for away in [
        Away::Refusing,
        Away::Hanging,
        Away::Resetting,
        Away::Throttling,
    ] {
        let attempts = outage(away, false).attempts;
        let gap = attempts
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .max()
            .unwrap();
        // 30 s of backoff with its jitter, and 10 s of an attempt.
        assert!(gap < Duration::from_secs(56), "{away:?}: {gap:?}");
        assert!(*attempts.last().unwrap() > OUTAGE - Duration::from_secs(56));
        // About nine a minute at most, not a loop.
        let most = if away == Away::Throttling { 50 } else { 120 };
        assert!(
            (10..most).contains(&attempts.len()),
            "{away:?}: {}",
            attempts.len()
        );
    }
}

/// Times of the first attempts, by the clock that runs ahead, while spans end all the time; the
/// first `failing` of them are refused for good.
fn times(failing: usize) -> Vec<Duration> {
    let program = Program::default();
    let (sender, times) = mpsc::channel();
    let transport = {
        let program = Arc::clone(&program);
        let started = OnceLock::new();
        Scripted::new(move |call, _| -> Answer {
            let _ = sender.send(started.get_or_init(Instant::now).elapsed());
            if call < 4 {
                let _ = end_spans(&program);
            }
            Box::pin(std::future::ready(match call < failing {
                true => Err(ExportError::refused("peer", PeerStatus::Http(400))),
                false => Ok(Receipt::accepted()),
            }))
        })
    };
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .buffer_bytes(LIMIT)
        .batch_bytes(16 << 10)
        .configure_runtime(|builder| {
            builder.start_paused(true);
        })
        .build()
        .unwrap();
    processor.on_end(span(0));
    assert!(program.set((processor, exporter)).is_ok());
    (0..4).map(|_| times.recv_timeout(LONG).unwrap()).collect()
}

#[test]
fn one_batch_that_is_refused_keeps_no_other_waiting_and_several_do() {
    let times_of_one = times(1);
    assert!(
        times_of_one[3] < Duration::from_millis(400),
        "{times_of_one:?}"
    );
    let times_of_all = times(4);
    assert!(
        times_of_all[1] < Duration::from_millis(400),
        "{times_of_all:?}"
    );
    for pair in times_of_all[1..].windows(2) {
        let rest = pair[1] - pair[0];
        assert!(rest >= Duration::from_millis(490), "{times_of_all:?}");
    }
}
