//! Ours beside the SDK's batch processor with opentelemetry-otlp, from a span that ends to a collector on loopback. See the
//! read-me.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Span, SpanKind, Tracer, TracerProvider};
use towline_peers::clock;
use towline_peers::pipeline::{Collector, Pipeline, Protocol, attributes, nobody};
use towline_peers::row::{Said, listen, say};
use towline_peers::table::{Table, version_of};

/// Spans in a second, all threads together, where the rate is given.
const PACE: usize = 40_000;

const PIPELINES: [&str; 2] = ["towline", "sdk"];

/// Makes spans and drops them.
const NOTHING: &str = "nothing";

const PACED: [&str; 3] = [NOTHING, PIPELINES[0], PIPELINES[1]];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        [
            "--produce",
            pipeline,
            protocol,
            threads,
            pace,
            millis,
            collector,
        ] => produce(
            match pipeline {
                "towline" => Pipeline::ours(Protocol::by_name(protocol), address(collector)),
                "sdk" => Pipeline::sdk(Protocol::by_name(protocol), address(collector)),
                _ => Pipeline::nothing(),
            },
            threads.parse().expect("a number of threads"),
            pace == "paced",
            Duration::from_millis(millis.parse().expect("milliseconds")),
        ),
        [] => tables(),
        _ => panic!("expected no arguments"),
    }
}

fn address(text: &str) -> std::net::SocketAddr {
    text.parse().expect("the address of a collector")
}

// --- in a process of its own: spans ---

/// Makes spans for this long, on so many threads, and says what it took.
fn produce(pipeline: Pipeline, threads: usize, is_paced: bool, time: Duration) {
    let before = memory();
    let (made, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (start, taken) = (Instant::now(), clock::of_process());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let tracer = pipeline.provider().tracer("pipeline");
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let due = match is_paced {
                        // As many as are due by now.
                        true => start.elapsed().as_micros() as usize * PACE / threads / 1_000_000,
                        false => count + 64,
                    };
                    while count < due {
                        span(&tracer);
                        count += 1;
                    }
                    if is_paced {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                made.fetch_add(count, Ordering::SeqCst);
            });
        }
        std::thread::sleep(time);
        is_over.store(true, Ordering::Relaxed);
    });
    let making = start.elapsed();
    let held = memory();
    let flushing = std::env::var_os("TOWLINE_PEERS_NO_FLUSH").is_none();
    if flushing {
        pipeline.flush();
    }
    let (elapsed, taken) = (start.elapsed(), clock::of_process() - taken);
    say("it", "made", made.load(Ordering::SeqCst));
    say("it", "making", making.as_secs_f64());
    say("it", "elapsed", elapsed.as_secs_f64());
    say("it", "processor", taken.as_secs_f64());
    say("it", "before", before);
    say("it", "held", held);
    let _ = std::io::stdout().flush();
    // Nothing that comes after counts, and it may wait for a collector that hangs.
    std::process::exit(0);
}

/// A server's span with thirteen attributes.
fn span<T: Tracer>(tracer: &T) {
    let builder = tracer
        .span_builder("GET /users/{id}")
        .with_kind(SpanKind::Server);
    builder.with_attributes(attributes()).start(tracer).end();
}

/// The memory of this process in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = resident.and_then(|line| line.trim().split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

// --- the tables ---

struct Run {
    made: f64,
    arrived: f64,
    making: f64,
    elapsed: f64,
    processor: f64,
    held: f64,
}

fn run(
    pipeline: &str,
    protocol: Protocol,
    threads: usize,
    pace: &str,
    collector: &Collector,
) -> Run {
    let millis = match std::env::var("TOWLINE_PEERS_EFFORT").as_deref() {
        Ok("once") => "200",
        Ok("short") => "1000",
        _ => "2000",
    };
    let before = collector.spans();
    let (threads, address) = (threads.to_string(), collector.address.to_string());
    let said = listen(
        "pipeline",
        &[
            "--produce",
            pipeline,
            protocol.name(),
            &threads,
            pace,
            millis,
            &address,
        ],
    );
    numbers(&said, collector.spans() - before)
}

fn numbers(said: &Said, arrived: usize) -> Run {
    let number = |key: &str| -> f64 { said["it"][key].parse().expect("a number") };
    Run {
        made: number("made"),
        arrived: arrived as f64,
        making: number("making"),
        elapsed: number("elapsed"),
        processor: number("processor"),
        held: number("held") - number("before"),
    }
}

fn tables() {
    let collector = Collector::start(false);
    println!(
        "`towline` is towline-otlp with its defaults; `sdk` is BatchSpanProcessor of opentelemetry_sdk {} with \
         opentelemetry-otlp {}, with theirs. A span has 13 attributes.\n",
        version_of("opentelemetry_sdk"),
        version_of("opentelemetry-otlp"),
    );
    paced(&collector);
    flat_out(&collector);
    drop(collector);
    memory_held();
}

/// Nobody is in a hurry, nothing may be lost: what a span costs.
fn paced(collector: &Collector) {
    println!("### {PACE} spans a second: processor time of the whole process per exported span\n");
    let rounds = match std::env::var("TOWLINE_PEERS_EFFORT").as_deref() {
        Ok("once") => 1,
        _ => 5,
    };
    let mut table = Table::new([
        "protocol",
        "threads",
        "towline, ns",
        "sdk, ns",
        "ratio",
        "towline arrived",
        "sdk arrived",
    ]);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for threads in [1, 2, 4, 8] {
            // In turns, and the cheapest of each, since noise only adds. What has arrived is the least of all.
            let mut best = [(f64::MAX, 1.0_f64); 3];
            for _ in 0..rounds {
                for (name, (cost, part)) in PACED.iter().zip(&mut best) {
                    let run = run(name, protocol, threads, "paced", collector);
                    let delivered = if *name == NOTHING {
                        run.made
                    } else {
                        run.arrived
                    };
                    *cost = cost.min(run.processor / delivered * 1e9);
                    *part = part.min(delivered / run.made);
                }
            }
            let [(making, _), ours, sdk] = best;
            let net = |(cost, _): (f64, f64)| cost - making;
            let arrived = |(_, part): (f64, f64)| format!("{:.1} %", part * 100.0);
            table.push([
                protocol.name().to_owned(),
                threads.to_string(),
                format!("{:.0}", net(ours)),
                format!("{:.0}", net(sdk)),
                format!("{:.2}", net(ours) / net(sdk)),
                arrived(ours),
                arrived(sdk),
            ]);
        }
    }
    table.print();
    println!("Net of making the spans and dropping them, on as many threads.\n");
}

/// Everybody is: how much gets through, and at what price for whoever makes spans.
fn flat_out(collector: &Collector) {
    println!("### As many spans as can be made\n");
    let mut table = Table::new([
        "protocol",
        "threads",
        "towline made/s",
        "arrived/s",
        "sdk made/s",
        "arrived/s",
        "arrived, ratio",
    ]);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for threads in [1, 2, 4, 8] {
            let [ours, sdk] = PIPELINES.map(|name| run(name, protocol, threads, "flat", collector));
            let made = |run: &Run| format!("{:.0}", run.made / run.making);
            let arrived = |run: &Run| run.arrived / run.elapsed;
            table.push([
                protocol.name().to_owned(),
                threads.to_string(),
                made(&ours),
                format!("{:.0}", arrived(&ours)),
                made(&sdk),
                format!("{:.0}", arrived(&sdk)),
                format!("{:.2}", arrived(&ours) / arrived(&sdk)),
            ]);
        }
    }
    table.print();
    println!(
        "What does not arrive was refused by a full buffer, and counted by whoever refused it.\n"
    );
}

/// Memory over that of the process before its first span, at the end of as many spans as can be made.
fn memory_held() {
    println!("### Memory held, in MiB, over that before the first span\n");
    let mut table = Table::new(["backend", "protocol", "towline", "sdk"]);
    let (present, hanging, nobody) = (Collector::start(false), Collector::start(true), nobody());
    let cases = [
        ("present", present.address),
        ("hanging", hanging.address),
        ("absent", nobody),
    ];
    for (name, address) in cases {
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let [ours, sdk] = PIPELINES.map(|pipeline| {
                let mut program = std::env::current_exe().expect("this program is somewhere");
                program.set_file_name("pipeline");
                let mut command = std::process::Command::new(program);
                command.env("TOWLINE_PEERS_NO_FLUSH", "1");
                let address = address.to_string();
                command.args([
                    "--produce",
                    pipeline,
                    protocol.name(),
                    "2",
                    "flat",
                    "1000",
                    &address,
                ]);
                let said = towline_peers::row::listen_to(command);
                numbers(&said, 0).held / 1024.0
            });
            let mib = |held: f64| format!("{held:.1}");
            table.push([
                name.to_owned(),
                protocol.name().to_owned(),
                mib(ours),
                mib(sdk),
            ]);
        }
    }
    table.print();
    println!(
        "Ours may hold 16 MiB of encoded spans by default, some 30,000; the SDK's queue has room for 2,048 spans.\n"
    );
}
