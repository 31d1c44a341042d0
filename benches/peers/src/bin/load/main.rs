//! A real axum server over loopback under `wrk`: bare, floors, ours and peers in rotation. See the read-me.

mod server;

use std::process::{Child, Command, Stdio};

use towline_peers::exchange::HEADERS;
use towline_peers::path::Caller;
use towline_peers::peers::{CURRENT, LEAST_SPAN, LEAST_TOLD, OURS};
use towline_peers::pipeline::{Collector, nobody, port_said_by};
use towline_peers::table::Table;

use server::{BARE, BARE_AGAIN, PEERS, ROOM, serve};

/// What the servers are put under.
struct Scenario {
    title: &'static str,
    backend: Backend,
    caller: Caller,
    target: &'static str,
    /// How long a connection rests after an answer, in milliseconds: this at most, half of it on average.
    rest: u32,
    floors: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Present,
    Absent,
    Hanging,
}

const NO_WORK: &str = "/users/42?q=abc";
const PAGE: &str = "/pages/42?q=abc";
const SCORE: &str = "/scores/42?q=abc";

const SCENARIOS: [Scenario; 8] = [
    Scenario {
        title: "Every request sampled, an answer of no work",
        floors: &[ROOM, CURRENT, LEAST_SPAN, LEAST_TOLD],
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "The same, the backend absent",
        backend: Backend::Absent,
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "The same, the backend hanging",
        backend: Backend::Hanging,
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "No request sampled, an answer of no work",
        caller: Caller::NotSampled,
        floors: &[ROOM, CURRENT],
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "Every request sampled, a page of users",
        target: PAGE,
        floors: &[LEAST_TOLD],
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "Every request sampled, a tenth of a millisecond's work",
        target: SCORE,
        floors: &[LEAST_TOLD],
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "No request sampled, a tenth of a millisecond's work",
        caller: Caller::NotSampled,
        target: SCORE,
        floors: &[CURRENT],
        ..Scenario::SAMPLED
    },
    Scenario {
        title: "Every request sampled, a page of users, the server half idle",
        target: PAGE,
        rest: 4,
        floors: &[LEAST_TOLD],
        ..Scenario::SAMPLED
    },
];

/// What ours is to keep of a server's throughput, and by how much the slowest hundredth of answers may take longer.
const THROUGHPUT: f64 = 0.95;
const P99: f64 = 1.10;

/// What it is to keep of the floor's, where the floor itself does not keep so much.
const FLOOR: f64 = 0.90;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["--serve", name, collector] => serve(name, collector.parse().expect("an address")),
        // One of them, by its place.
        ["--only", scenario] => tables(one(scenario), true),
        // The same without the peers.
        ["--ours", scenario] => tables(one(scenario), false),
        [] => tables(&SCENARIOS, true),
        _ => panic!("expected no arguments"),
    }
}

fn one(scenario: &str) -> &'static [Scenario] {
    let scenario: usize = scenario.parse().expect("a number");
    SCENARIOS.get(scenario..=scenario).expect("it is there")
}

/// A server and its collector, of which every round has its own: two processes of one program can differ by more than a
/// layer takes.
struct Server {
    process: Child,
    port: u16,
    collector: Option<Collector>,
}

/// What the rounds of one server found.
struct Found {
    name: &'static str,
    rounds: Vec<Round>,
}

/// One number of a round.
type Value = fn(&Round) -> f64;

/// What one run of the load generator found.
struct Round {
    requests: f64,
    per_second: f64,
    /// Of the server, in microseconds of a request.
    processor: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    /// Spans that have arrived, if they were asked for.
    arrived: Option<f64>,
}

impl Scenario {
    const SAMPLED: Self = Self {
        title: "",
        backend: Backend::Present,
        caller: Caller::Sampled,
        target: NO_WORK,
        rest: 0,
        floors: &[],
    };

    fn is_recorded(&self) -> bool {
        self.caller == Caller::Sampled && self.backend == Backend::Present
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tables(scenarios: &[Scenario], with_peers: bool) {
    if Command::new("wrk")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("There is no `wrk` here: nothing was measured.\n");
        return;
    }
    // What a layer does to the slowest answers takes more rounds to be seen than how much quicker it is than a peer.
    let (rounds, of_peers) = match std::env::var("TOWLINE_PEERS_EFFORT").as_deref() {
        Ok("once") => (1, 1),
        Ok("short") => (3, 3),
        _ => (9, 5),
    };
    let peers = if with_peers { &PEERS[..] } else { &[] };
    for scenario in scenarios {
        let names = [BARE, BARE_AGAIN]
            .into_iter()
            .chain(scenario.floors.iter().copied())
            .chain([OURS])
            .chain(peers.iter().copied());
        let mut servers: Vec<_> = names
            .map(|name| Found {
                name,
                rounds: Vec::new(),
            })
            .collect();
        for round in 0..rounds {
            // Whoever is first in one round is last in the next.
            let first = round % servers.len();
            let (later, sooner) = servers.split_at_mut(first);
            for found in sooner.iter_mut().chain(later) {
                if round >= of_peers && peers.contains(&found.name) {
                    continue;
                }
                let round = Server::start(found.name, scenario.backend).round(scenario);
                found.rounds.push(round);
            }
        }
        println!("### {}\n", scenario.title);
        table(&servers, scenario);
    }
}

impl Server {
    /// Each has a collector of its own, so that it is known whose spans have arrived.
    fn start(name: &'static str, backend: Backend) -> Self {
        let collector = (backend != Backend::Absent)
            .then(|| Collector::start_aside(backend == Backend::Hanging));
        let address = collector
            .as_ref()
            .map_or_else(nobody, |collector| collector.address);
        let mut process = Command::new(std::env::current_exe().expect("this program is somewhere"))
            .args(["--serve", name, &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let port = port_said_by(&mut process);
        Self {
            process,
            port,
            collector,
        }
    }

    /// A second of load, and what has arrived in the end.
    fn round(mut self, scenario: &Scenario) -> Round {
        let mut round = self.load(scenario);
        if !scenario.is_recorded() {
            // It would wait for a collector that is not there.
            return round;
        }
        drop(self.process.stdin.take());
        let ended = self.process.wait().expect("the server ends");
        assert!(ended.success(), "the server ends with {ended}");
        let collector = self.collector.as_ref();
        round.arrived = collector.map(|collector| collector.spans() as f64 / round.requests);
        round
    }

    /// A second of 32 connections, by one thread.
    fn load(&self, scenario: &Scenario) -> Round {
        let script = std::env::temp_dir().join(format!("towline-peers.{}.lua", std::process::id()));
        let traceparent = scenario.caller.traceparent().expect("it has one");
        let rest = match scenario.rest {
            0 => String::new(),
            most => format!("delay = function() return math.random(0, {most}) end\n"),
        };
        let headers = HEADERS.into_iter().chain([("traceparent", &*traceparent)]);
        let headers: String = headers
            // Spelled otherwise `wrk` would add one of its own.
            .map(|(name, value)| (if name == "host" { "Host" } else { name }, value))
            .map(|(name, value)| format!("wrk.headers['{name}'] = '{value}'\n"))
            .collect();
        let text = format!(
            "{headers}\
             {rest}\
             done = function(summary, latency, requests)\n\
               local errors = summary.errors\n\
               local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout\n\
               io.write('FOUND', ' ', summary.requests, ' ', summary.duration, ' ', failed)\n\
               for _, p in ipairs({{50, 99, 99.9}}) do io.write(' ', latency:percentile(p)) end\n\
               io.write('\\n')\n\
             end\n"
        );
        std::fs::write(&script, text).expect("the script is written");
        let before = self.processor();
        let output = Command::new("wrk")
            .args(["-t1", "-c32", "-d1s", "-s"])
            .arg(&script)
            .arg(format!("http://127.0.0.1:{}{}", self.port, scenario.target))
            .output()
            .expect("wrk starts");
        let processor = self.processor() - before;
        let _ = std::fs::remove_file(&script);
        let said = String::from_utf8_lossy(&output.stdout);
        let found = said.lines().find_map(|line| line.strip_prefix("FOUND "));
        let numbers: Vec<f64> = found
            .unwrap_or_default()
            .split(' ')
            .filter_map(|number| number.parse().ok())
            .collect();
        let [requests, duration, failed, p50, p99, p999] = *numbers.as_slice() else {
            panic!("wrk has found nothing: {said}");
        };
        assert_eq!(failed, 0.0, "requests have failed: {said}");
        Round {
            requests,
            per_second: requests / duration * 1e6,
            processor: processor / 1e3 / requests,
            p50,
            p99,
            p999,
            arrived: None,
        }
    }

    /// The processor time that it has had, in nanoseconds, all threads.
    fn processor(&self) -> f64 {
        let tasks = format!("/proc/{}/task", self.process.id());
        let tasks = std::fs::read_dir(tasks).expect("the server runs");
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            let said = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            said.split(' ').next()?.parse::<f64>().ok()
        };
        tasks.filter_map(of_task).sum()
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a server has of what the bare one had in the same round.
fn of_bare(server: &Found, bare: &Found, value: Value) -> f64 {
    let rounds = server.rounds.iter().zip(&bare.rounds);
    median(rounds.map(|(its, bare)| value(its) / value(bare)))
}

fn table(servers: &[Found], scenario: &Scenario) {
    let by_name = |name| {
        let found = servers.iter().find(|server| server.name == name);
        found.expect("it is there")
    };
    let bare = by_name(BARE);
    let mut table = Table::new([
        "server",
        "requests/s",
        "of bare",
        "processor, µs",
        "over bare",
        "p50, µs",
        "of bare",
        "p99, µs",
        "of bare",
        "p99.9, µs",
        "of bare",
        "spans arrived",
    ]);
    for server in servers {
        let mut cells = vec![server.name.to_owned()];
        let columns: [(Value, usize); 5] = [
            (|round| round.per_second, 0),
            (|round| round.processor, 2),
            (|round| round.p50, 0),
            (|round| round.p99, 0),
            (|round| round.p999, 0),
        ];
        for (index, (value, digits)) in columns.into_iter().enumerate() {
            let its = median(server.rounds.iter().map(value));
            cells.push(format!("{its:.digits$}"));
            cells.push(match index {
                1 => {
                    let rounds = server.rounds.iter().zip(&bare.rounds);
                    let over = median(rounds.map(|(its, bare)| value(its) - value(bare)));
                    format!("{over:+.2}")
                }
                _ => format!("{:.2}", of_bare(server, bare, value)),
            });
        }
        let makes_spans = ![BARE, BARE_AGAIN, ROOM, CURRENT].contains(&server.name);
        let arrived = server.rounds.iter().map(|round| round.arrived);
        let arrived = arrived.sum::<Option<f64>>().filter(|_| makes_spans);
        let arrived = arrived.map(|sum| sum / server.rounds.len() as f64);
        cells.push(arrived.map_or("–".to_owned(), |part| format!("{:.1} %", part * 100.0)));
        table.push(cells);
    }
    table.print();
    verdict(
        by_name(OURS),
        bare,
        scenario.floors.last().copied().map(by_name),
    );
}

fn verdict(ours: &Found, bare: &Found, floor: Option<&Found>) {
    let throughput: Value = |round| round.per_second;
    let (ratio, p99) = (
        of_bare(ours, bare, throughput),
        of_bare(ours, bare, |round| round.p99),
    );
    let verdict = |is_met: bool| if is_met { "met" } else { "**missed**" };
    println!(
        "Budget: {THROUGHPUT:.2} of the throughput; ours {ratio:.2}: {}. p99 within {P99:.2}; ours {p99:.2}: {}.",
        verdict(ratio >= THROUGHPUT),
        verdict(p99 <= P99),
    );
    if let Some(floor) = floor {
        let its = of_bare(floor, bare, throughput);
        let of_floor = of_bare(ours, floor, throughput);
        println!(
            "The last floor has {its:.2} of the throughput, and ours {of_floor:.2} of that, {}, with {:.2} of its p99 and {:+.2} µs.",
            if of_floor >= FLOOR {
                "within a tenth"
            } else {
                "**more than a tenth less**"
            },
            of_bare(ours, floor, |round| round.p99),
            median(
                ours.rounds
                    .iter()
                    .zip(&floor.rounds)
                    .map(|(its, floor)| its.processor - floor.processor)
            ),
        );
    }
    println!();
}
