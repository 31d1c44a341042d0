//! A real axum server over loopback under `wrk`: bare, ours and peers in rotation. See the read-me.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path as UserId;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SpanLimits;
use tokio::net::TcpListener;
use tower_otel::trace::HttpLayer;
use towline_http::server::TraceLayer;
use towline_peers::path::Caller;
use towline_peers::peers::{OURS, PLAIN, subscribe};
use towline_peers::pipeline::{Collector, Pipeline, Protocol, nobody, port_said_by};
use towline_peers::plain::PlainLayer;
use towline_peers::table::Table;
use towline_span::Spans;

const BARE: &str = "bare";

const SERVERS: [&str; 6] = [
    BARE,
    OURS,
    PLAIN,
    "opentelemetry-instrumentation-tower",
    "axum-tracing-opentelemetry",
    "tower-otel",
];

/// What the servers are put under.
struct Scenario {
    title: &'static str,
    /// `present`, `absent` or `hanging`.
    backend: &'static str,
    caller: Caller,
    target: &'static str,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        title: "Every request sampled, an answer of no work",
        backend: "present",
        caller: Caller::Sampled,
        target: "/users/42?q=abc",
    },
    Scenario {
        title: "The same, the backend absent",
        backend: "absent",
        caller: Caller::Sampled,
        target: "/users/42?q=abc",
    },
    Scenario {
        title: "The same, the backend hanging",
        backend: "hanging",
        caller: Caller::Sampled,
        target: "/users/42?q=abc",
    },
    Scenario {
        title: "No request sampled, an answer of no work",
        backend: "present",
        caller: Caller::NotSampled,
        target: "/users/42?q=abc",
    },
    Scenario {
        title: "Every request sampled, an answer of some work: a page of users",
        backend: "present",
        caller: Caller::Sampled,
        target: "/pages/42?q=abc",
    },
];

/// So many users are on a page.
const PAGE: u32 = 400;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["--serve", name, collector] => serve(name, collector.parse().expect("an address")),
        [] => tables(),
        _ => panic!("expected no arguments"),
    }
}

// --- in a process of its own: the server ---

/// Says its port, and ends with its standard input. One worker: the load generator has the other core.
fn serve(name: &str, collector: SocketAddr) {
    let router = Router::new()
        .route(
            "/users/{id}",
            get(async |UserId(id): UserId<u32>| format!("{{\"id\":{id},\"name\":\"Ada\"}}")),
        )
        .route(
            "/pages/{id}",
            get(async |UserId(id): UserId<u32>| {
                let mut page = String::from("[");
                for user in id * PAGE..(id + 1) * PAGE {
                    let comma = if page.len() > 1 { "," } else { "" };
                    let _ = write!(page, "{comma}{{\"id\":{user},\"name\":\"Ada {user:06}\"}}");
                }
                page.push(']');
                page
            }),
        );
    // It has to be there as long as the server.
    let pipeline = match name {
        BARE => Pipeline::nothing(),
        OURS => Pipeline::ours(Protocol::Grpc, collector),
        _ => Pipeline::sdk(Protocol::Grpc, collector),
    };
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = pipeline.provider().tracer("load");
    let router = match (name, &pipeline) {
        (BARE, _) => router,
        (_, Pipeline::Ours(_, exporter, sampler)) => {
            let scope = InstrumentationScope::builder("load").build();
            let recorder = exporter.recorder(scope, SpanLimits::default());
            let spans = Spans::new(tracer)
                .with_sampler(sampler.clone())
                .with_recorder(Arc::new(recorder));
            router.layer(TraceLayer::from_spans(spans).with_axum())
        }
        (PLAIN, _) => router.layer(PlainLayer::server(tracer)),
        ("opentelemetry-instrumentation-tower", _) => {
            opentelemetry::global::set_tracer_provider(pipeline.provider().clone());
            let layer = LayerBuilder::builder().with_metrics(false).build();
            router.layer(layer.expect("its defaults are valid"))
        }
        ("axum-tracing-opentelemetry", _) => {
            subscribe(tracer);
            router.layer(OtelAxumLayer::default())
        }
        ("tower-otel", _) => {
            subscribe(tracer);
            router.layer(HttpLayer::server(tracing::Level::INFO).trace_body())
        }
        (other, _) => panic!("there is no server {other:?}"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime starts").block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        println!("{}", listener.local_addr().expect("it is bound").port());
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        // In a task: a worker has it, and not the thread that waits.
        let served = tokio::spawn(async move { axum::serve(listener, app).await });
        served
            .await
            .expect("the server does not panic")
            .expect("the server serves");
    });
}

// --- the tables ---

struct Server {
    name: &'static str,
    process: Child,
    port: u16,
    collector: Option<Collector>,
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
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tables() {
    if Command::new("wrk")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("There is no `wrk` here: nothing was measured.\n");
        return;
    }
    let (rounds, seconds) = match std::env::var("TOWLINE_PEERS_EFFORT").as_deref() {
        Ok("once") => (1, 1),
        Ok("short") => (3, 2),
        _ => (5, 2),
    };
    for scenario in &SCENARIOS {
        // Each has its own, so that it is known whose spans have arrived.
        let collector = |_| match scenario.backend {
            "absent" => None,
            backend => Some(Collector::start(backend == "hanging")),
        };
        let mut servers: Vec<_> = SERVERS
            .iter()
            .map(|name| start(name, collector(name)))
            .collect();
        for _ in 0..rounds {
            for server in &mut servers {
                let round = load(server, scenario, seconds);
                server.rounds.push(round);
            }
        }
        println!("### {}\n", scenario.title);
        let is_recorded = scenario.caller == Caller::Sampled && scenario.backend == "present";
        table(&servers, is_recorded);
    }
}

fn start(name: &'static str, collector: Option<Collector>) -> Server {
    let address = collector
        .as_ref()
        .map_or_else(nobody, |collector| collector.address);
    let mut process = Command::new(std::env::current_exe().expect("this program is somewhere"))
        .args(["--serve", name, &address.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let port = port_said_by(&mut process);
    Server {
        name,
        process,
        port,
        collector,
        rounds: Vec::new(),
    }
}

/// 32 connections, one thread.
fn load(server: &Server, scenario: &Scenario, seconds: u32) -> Round {
    let script = std::env::temp_dir().join(format!("towline-peers.{}.lua", std::process::id()));
    let traceparent = scenario.caller.traceparent().expect("it has one");
    let text = format!(
        "wrk.headers['traceparent'] = '{traceparent}'\n\
         done = function(summary, latency, requests)\n\
           local errors = summary.errors\n\
           local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout\n\
           io.write('FOUND', ' ', summary.requests, ' ', summary.duration, ' ', failed)\n\
           for _, p in ipairs({{50, 99, 99.9}}) do io.write(' ', latency:percentile(p)) end\n\
           io.write('\\n')\n\
         end\n"
    );
    std::fs::write(&script, text).expect("the script is written");
    let before = processor_ticks(server.process.id());
    let output = Command::new("wrk")
        .args(["-t1", "-c32", &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!(
            "http://127.0.0.1:{}{}",
            server.port, scenario.target
        ))
        .output()
        .expect("wrk starts");
    let ticks = processor_ticks(server.process.id()) - before;
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
    assert_eq!(
        failed, 0.0,
        "requests to {} have failed: {said}",
        server.name
    );
    let tick = 1e6 / rustix::param::clock_ticks_per_second() as f64;
    Round {
        requests,
        per_second: requests / duration * 1e6,
        processor: ticks as f64 * tick / requests,
        p50,
        p99,
        p999,
    }
}

/// What a process has had of the processors, user and system.
fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the server runs");
    let (_, after_name) = stat.rsplit_once(')').expect("it has a name");
    let fields: Vec<_> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|it| it.parse::<u64>().ok());
    ticks(11)
        .zip(ticks(12))
        .map(|(user, system)| user + system)
        .expect("two numbers")
}

/// The part of the spans that has arrived, when no more do.
fn arrived(server: &Server) -> Option<f64> {
    let collector = server.collector.as_ref()?;
    // Both pipelines send what is left after five seconds.
    std::thread::sleep(Duration::from_secs(6));
    let requests: f64 = server.rounds.iter().map(|round| round.requests).sum();
    Some(collector.spans() as f64 / requests)
}

fn table(servers: &[Server], is_recorded: bool) {
    let median = |server: &Server, value: Value| {
        let mut values: Vec<_> = server.rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let bare = servers
        .iter()
        .find(|server| server.name == BARE)
        .expect("it is there");
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
            let (its, bare) = (median(server, value), median(bare, value));
            cells.push(format!("{its:.digits$}"));
            cells.push(match index {
                1 => format!("{:+.2}", its - bare),
                _ => format!("{:.2}", its / bare),
            });
        }
        let arrived = Some(server)
            .filter(|_| is_recorded && server.name != BARE)
            .and_then(arrived);
        cells.push(arrived.map_or("–".to_owned(), |part| format!("{:.1} %", part * 100.0)));
        table.push(cells);
    }
    table.print();
}
