//! How many spans a forwarder takes, stamps and sends on for a second of CPU time, beside Rotel.
//!
//! ```text
//! tests/interop/run --forwarding [--rounds N] [--requests N] [--spans N,N,...]
//! ```
//!
//! Each is a process of its own, built for release, before a collector that throws spans away. All get the same
//! requests, one after the other, round after round, so that what else the machine does hits them alike; what is
//! compared is CPU time by `/proc/PID/stat`, which is the process's own. The ratio is what counts: the numbers beside
//! it are of this machine and of this moment.

use std::process::ExitCode;

use towline_interop::forwarder::Counter;
use towline_interop::load::{AT_A_TIME, Load};
use towline_interop::peer::Peer;
use towline_interop::peers::rotel::Rotel;
use towline_interop::peers::towline::Towline;

/// What is measured.
#[derive(Debug)]
struct Options {
    rounds: usize,
    requests: usize,
    /// Spans of a request: one table each.
    spans: Vec<usize>,
}

/// One of those that are measured, with a collector of its own.
struct Contestant {
    name: &'static str,
    does: &'static str,
    process: Process,
    counter: Counter,
}

enum Process {
    Towline(Towline),
    Rotel(Rotel),
}

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let contestants = [
        Contestant::towline(
            "Towline",
            "writes who sent it on every resource and span; acknowledges what is delivered; sends on as it comes",
            false,
        ),
        Contestant::towline(
            "Towline, coalescing",
            "the same, and sends together what comes within 20 ms",
            true,
        ),
        Contestant::rotel(
            "Rotel",
            "writes nothing; acknowledges what has come; sends together up to 8192 spans within 200 ms",
            true,
        ),
        Contestant::rotel(
            "Rotel, not batching",
            "the same, and sends on as it comes",
            false,
        ),
    ];
    println!(
        "Spans for a second of CPU time, in OTLP/gRPC, out OTLP/gRPC, neither compressed nor encrypted.\n"
    );
    for contestant in &contestants {
        println!("{:<20} {}", contestant.name, contestant.does);
    }
    for spans in options.spans {
        // About as many spans whatever their number is in a request, so that ticks of the clock do not count.
        let requests = options.requests.saturating_mul(100) / spans.max(1);
        compare(
            &contestants,
            &Load::new(requests.max(1), spans),
            options.rounds,
        );
    }
    ExitCode::SUCCESS
}

fn compare(contestants: &[Contestant], load: &Load, rounds: usize) {
    println!(
        "\n{} spans a round, in requests of {} ({} bytes), {AT_A_TIME} at a time; median of {rounds} rounds, lowest and highest",
        load.spans(),
        load.spans() / load.requests() as u64,
        load.request_bytes(),
    );
    let mut measured = vec![vec![]; contestants.len()];
    // The first one is to warm up.
    for round in 0..=rounds {
        for (contestant, measured) in contestants.iter().zip(&mut measured) {
            let spans_per_second = contestant.run(load);
            if round > 0 {
                measured.push(spans_per_second);
            }
        }
    }
    for measured in &mut measured {
        measured.sort_by(f64::total_cmp);
    }
    let median = |of: &[f64]| of[of.len() / 2];
    let medians: Vec<f64> = measured.iter().map(|of| median(of)).collect();
    for ((contestant, measured), median) in contestants.iter().zip(&measured).zip(&medians) {
        let (lowest, highest) = (measured[0], measured[measured.len() - 1]);
        println!(
            "{:<20} {median:>10.0}  ({lowest:.0} to {highest:.0})",
            contestant.name
        );
    }
    println!(
        "Towline : Rotel      {:.2}, coalescing {:.2}; both as it comes {:.2}",
        medians[0] / medians[2],
        medians[1] / medians[2],
        medians[0] / medians[3],
    );
}

// === impl Contestant ===

impl Contestant {
    fn towline(name: &'static str, does: &'static str, coalescing: bool) -> Self {
        let counter = Counter::start();
        Self {
            name,
            does,
            process: Process::Towline(Towline::start(counter.address(), coalescing)),
            counter,
        }
    }

    fn rotel(name: &'static str, does: &'static str, batching: bool) -> Self {
        let counter = Counter::start();
        Self {
            name,
            does,
            process: Process::Rotel(Rotel::start_plain(counter.address(), batching)),
            counter,
        }
    }

    /// Spans for a second of CPU time.
    fn run(&self, load: &Load) -> f64 {
        let (peer, url): (&Peer, _) = match &self.process {
            Process::Towline(towline) => (towline.peer(), towline.grpc_url()),
            Process::Rotel(rotel) => (rotel.peer(), rotel.grpc_url()),
        };
        let before = peer.cpu_time();
        load.send(&url, || self.counter.spans());
        let took = peer.cpu_time().saturating_sub(before);
        load.spans() as f64 / took.as_secs_f64()
    }
}

// === impl Options ===

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 5,
            requests: 5_000,
            spans: vec![10, 100, 1_000],
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let number = |text: &str| {
                let number = text.parse().ok().filter(|number| *number > 0);
                number.ok_or_else(|| format!("{name} is {value:?}: expected numbers above 0"))
            };
            match name.as_str() {
                "--rounds" => options.rounds = number(&value)?,
                "--requests" => options.requests = number(&value)?,
                "--spans" => {
                    options.spans = value.split(',').map(number).collect::<Result<_, _>>()?
                }
                _ => return Err(format!("{name}: expected --rounds, --requests or --spans")),
            }
        }
        Ok(options)
    }
}
