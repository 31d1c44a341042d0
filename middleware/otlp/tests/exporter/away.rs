//! Backends that are away in every way, over real sockets: what the program notices, when it ends,
//! and that everything goes on once they are back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SpanProcessor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline_otlp::policy::Backoff;
use towline_otlp::{Exporter, ExporterBuilder, ShutdownErrorKind, Stats};

use crate::log::Log;
use crate::support::collector::{GrpcCollector, HttpCollector, Server, nobody};
use crate::support::front::forward;
use crate::support::spans::span;

const LONG: Duration = Duration::from_secs(60);

/// What a backend does with a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Way {
    /// Passes it on to a collector.
    Serve,
    /// Takes it, and neither reads nor answers.
    Hang,
    /// Resets it once something has come.
    Reset,
    /// Closes its own half and goes on reading.
    HalfClose,
    /// Answers what no collector would.
    Garble,
}

const ALL: [Way; 4] = [Way::Hang, Way::Reset, Way::HalfClose, Way::Garble];

/// A collector behind a door that can be shut in several ways.
struct Door {
    server: Server,
    way: Arc<AtomicU8>,
}

impl Door {
    fn to(collector: SocketAddr, way: Way) -> Self {
        let now = Arc::new(AtomicU8::new(way as u8));
        let way = Arc::clone(&now);
        let server = Server::start_connections(move |stream| {
            let way = Arc::clone(&now);
            async move {
                // A connection that was let in is cut when the door is shut.
                let serving = async {
                    while way.load(Ordering::SeqCst) == Way::Serve as u8 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                match way.load(Ordering::SeqCst) {
                    0 => tokio::select! {
                        () = forward(stream, collector) => {}
                        () = serving => {}
                    },
                    1 => {
                        let _stream = stream;
                        std::future::pending::<()>().await;
                    }
                    2 => reset(stream).await,
                    3 => half_close(stream).await,
                    _ => garble(stream).await,
                }
            }
        });
        Self { server, way }
    }

    fn turn(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }
}

async fn reset(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1]).await;
    // Closed with something unread: the other side gets a reset.
}

async fn half_close(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}

async fn garble(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 65_536]).await;
    let _ = stream.write_all(&[0xff; 4096]).await;
}

/// Short times, so that a test has several attempts.
fn builder(url: String) -> ExporterBuilder {
    Exporter::builder()
        .url(url)
        .buffer_bytes(LIMIT)
        .batch_bytes(16 << 10)
        .flush_interval(Duration::from_millis(20))
        .attempt_timeout(Duration::from_millis(100))
        .backoff(
            Backoff::new()
                .initial(Duration::from_millis(20))
                .max_delay(Duration::from_millis(100))
                .max_elapsed(Duration::from_millis(300)),
        )
}

const LIMIT: usize = 128 << 10;

#[track_caller]
fn assert_accounted_for(stats: &Stats) {
    let places = stats.exported + stats.dropped.total() + stats.held + stats.in_flight;
    assert_eq!(stats.ended, places, "{stats:?}");
    assert!(stats.buffer_bytes <= LIMIT, "{stats:?}");
}

/// Ends spans until `reached`, looking at the accounts all the time.
fn end_spans_until(
    processor: &impl SpanProcessor,
    exporter: &Exporter,
    reached: impl Fn(&Stats) -> bool,
) {
    let started = Instant::now();
    loop {
        (0..10).for_each(|number| processor.on_end(span(number)));
        let stats = exporter.stats();
        assert_accounted_for(&stats);
        if reached(&stats) {
            return;
        }
        assert!(started.elapsed() < LONG, "{stats:?}");
        std::thread::yield_now();
    }
}

fn levels(log: &Log) -> Vec<String> {
    let lines = log.lines();
    lines
        .iter()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

/// A backend that is away, before it ever worked or after, and comes back.
fn outage(scheme: &str, collector: SocketAddr, way: Way, worked_before: bool) {
    let first = if worked_before { Way::Serve } else { way };
    let door = Door::to(collector, first);
    let log = Log::default();
    let url = format!("{scheme}://{}", door.server.address());
    let (_program, (processor, exporter)) = log.hears(|| builder(url).build().unwrap());
    if worked_before {
        end_spans_until(&processor, &exporter, |stats| stats.exported > 0);
        door.turn(way);
    }
    // Long enough for batches to be given up and for the buffer to fill.
    end_spans_until(&processor, &exporter, |stats| {
        let lost = stats.dropped.failed + stats.dropped.refused;
        stats.failed_attempts >= 5 && stats.dropped.buffer_full > 0 && lost > 0
    });
    let away = if worked_before || levels(&log) == ["WARN"] {
        "WARN"
    } else {
        "INFO"
    };
    assert_eq!(levels(&log), [away], "{way:?}: {:?}", log.lines());
    door.turn(Way::Serve);
    let before = exporter.stats().exported;
    end_spans_until(&processor, &exporter, |stats| stats.exported > before);
    assert_eq!(levels(&log), [away, "INFO"], "{way:?}: {:?}", log.lines());
}

#[test]
fn outages_of_a_grpc_collector_are_two_lines_and_pass() {
    let collector = GrpcCollector::accepting();
    for way in ALL {
        for worked_before in [false, true] {
            outage("grpc", collector.address(), way, worked_before);
        }
    }
}

#[test]
fn outages_of_an_http_collector_are_two_lines_and_pass() {
    let collector = HttpCollector::accepting();
    for way in ALL {
        for worked_before in [false, true] {
            outage("http", collector.address(), way, worked_before);
        }
    }
}

#[test]
fn a_collector_that_starts_late_is_found() {
    let address = nobody();
    let log = Log::default();
    let (_program, (processor, exporter)) =
        log.hears(|| builder(format!("grpc://{address}")).build().unwrap());
    end_spans_until(&processor, &exporter, |stats| stats.failed_attempts >= 5);
    assert_eq!(levels(&log), ["INFO"], "{:?}", log.lines());
    let _collector = GrpcCollector::start_on(address, |_| {
        Box::pin(std::future::ready(Ok(Default::default())))
    });
    end_spans_until(&processor, &exporter, |stats| stats.exported > 0);
    assert_eq!(levels(&log), ["INFO", "INFO"], "{:?}", log.lines());
}

/// Shuts down within so long, with spans that nobody takes.
const DEADLINE: Duration = Duration::from_millis(300);

/// Far more than any scheduler needs, far less than any of the waits that a deadline cuts.
const MARGIN: Duration = Duration::from_secs(5);

/// An exporter with seven spans and long times of its own.
fn full(url: &str) -> Exporter {
    let (processor, exporter) = Exporter::builder()
        .url(url)
        .attempt_timeout(LONG)
        .build()
        .unwrap();
    (0..7).for_each(|number| processor.on_end(span(number)));
    exporter
}

/// Every backend that is away, by its exporter URLs.
fn backends() -> Vec<(String, Option<Door>)> {
    let mut backends = Vec::new();
    for scheme in ["grpc", "http"] {
        backends.push((format!("{scheme}://{}", nobody()), None));
        for way in ALL {
            let door = Door::to(nobody(), way);
            backends.push((format!("{scheme}://{}", door.server.address()), Some(door)));
        }
    }
    backends
}

#[track_caller]
fn assert_ended(url: &str, started: Instant, exporter: &Exporter, lost: u64) {
    let took = started.elapsed();
    assert!(took < DEADLINE + MARGIN, "{url}: {took:?}");
    let stats = exporter.stats();
    assert_accounted_for(&stats);
    assert_eq!((stats.held, stats.in_flight), (0, 0), "{url}: {stats:?}");
    assert_eq!((stats.dropped.total(), lost), (7, 7), "{url}: {stats:?}");
}

#[test]
fn a_shutdown_returns_in_time_without_a_runtime() {
    for (url, _door) in backends() {
        let (exporter, started) = (full(&url), Instant::now());
        let error = exporter.blocking_shutdown(DEADLINE).unwrap_err();
        assert_ended(&url, started, &exporter, error.lost_spans());
        assert!(
            [ShutdownErrorKind::Timeout, ShutdownErrorKind::Lost].contains(&error.kind()),
            "{url}: {error}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_shutdown_returns_in_time_on_a_current_thread_runtime() {
    for (url, _door) in backends() {
        let (exporter, started) = (full(&url), Instant::now());
        let error = exporter.shutdown(DEADLINE).await.unwrap_err();
        assert_ended(&url, started, &exporter, error.lost_spans());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_returns_in_time_on_a_multi_thread_runtime() {
    for (url, _door) in backends() {
        let (exporter, started) = (full(&url), Instant::now());
        // With a flush that waits at the same time.
        let handle = exporter.clone();
        let flush = tokio::spawn(async move { handle.flush(LONG).await });
        let error = exporter.shutdown(DEADLINE).await.unwrap_err();
        flush.await.unwrap().unwrap_err();
        assert_ended(&url, started, &exporter, error.lost_spans());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_drop_returns_at_once() {
    for (url, _door) in backends() {
        let (exporter, started) = (full(&url), Instant::now());
        drop(exporter);
        assert!(started.elapsed() < MARGIN, "{url}");
    }
}
