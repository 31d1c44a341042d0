//! Measurements of one path, made in a process of their own, and how they get out of it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::clock;
use crate::path::{PARENT_ID, Path};
use crate::peers::{Bench, Facts};

/// Requests in one round.
const REQUESTS: usize = 256;

/// Requests between two rests of a round in which spans are exported.
const BURST: usize = 512;

/// Bursts in one such round.
const BURSTS: usize = 32;

/// What a process says: values by subject and key.
pub type Said = BTreeMap<String, BTreeMap<String, String>>;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Processes of each path.
    pub processes: usize,
    /// Rounds of 256 requests, in each process.
    pub rounds: usize,
    /// Rounds of 16,384 requests whose spans are exported, in each process.
    pub exported_rounds: usize,
}

// === impl Effort ===

impl Effort {
    /// By `TOWLINE_PEERS_EFFORT`: `once` runs everything once, `short` takes a minute or two, `long` is the default.
    ///
    /// # Panics
    ///
    /// When it is something else.
    pub fn from_env() -> Self {
        let of = |processes, rounds, exported_rounds| Self {
            processes,
            rounds,
            exported_rounds,
        };
        match std::env::var("TOWLINE_PEERS_EFFORT").as_deref() {
            Ok("once") => of(1, 1, 1),
            Ok("short") => of(1, 300, 5),
            Ok("long" | "") | Err(_) => of(5, 400, 4),
            Ok(other) => panic!("TOWLINE_PEERS_EFFORT is {other:?}, expected once, short or long"),
        }
    }
}

/// Says one thing, for the process that has started this one.
pub fn say(subject: &str, key: &str, value: impl std::fmt::Display) {
    println!("{subject}\t{key}\t{value}");
}

/// Starts another program of this package, or this one again, and listens to what it says.
///
/// # Panics
///
/// When it cannot be started, or fails.
pub fn listen(program: &str, arguments: &[&str]) -> Said {
    let mut path = std::env::current_exe().expect("this program is somewhere");
    path.set_file_name(program);
    let mut command = Command::new(&path);
    command.args(arguments);
    listen_to(command)
}

/// The same, of a command that is ready.
///
/// # Panics
///
/// When it cannot be started, or fails.
pub fn listen_to(mut command: Command) -> Said {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    let mut said = Said::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let [subject, key, value] = *line.split('\t').collect::<Vec<_>>() {
            let of_subject = said.entry(subject.to_owned()).or_default();
            of_subject.insert(key.to_owned(), value.to_owned());
        }
    }
    said
}

/// Starts it as often as that, and listens: the quickest round of all processes counts, of the bare service as of the layers.
/// Where a process finds its memory is luck, and can be a tenth of what a layer takes.
///
/// # Panics
///
/// When it cannot be started, or fails, or is not to be started at all.
pub fn listen_often(program: &str, arguments: &[&str], processes: usize) -> Said {
    let all: Vec<_> = (0..processes).map(|_| listen(program, arguments)).collect();
    let mut said = all.first().expect("one process at least").clone();
    let quickest = |subject: &str| {
        let times = all
            .iter()
            .filter_map(|said| number_of(said, subject, GROSS));
        times.fold(f64::INFINITY, f64::min)
    };
    for (subject, of) in &mut said {
        let baseline = of.get(BASELINE).filter(|baseline| *baseline != subject);
        let net = quickest(subject) - baseline.map_or(0.0, |baseline| quickest(baseline));
        of.insert(NANOS.to_owned(), net.to_string());
    }
    said
}

/// A number that was said of a layer.
pub fn number_of(said: &Said, subject: &str, key: &str) -> Option<f64> {
    said.get(subject)?.get(key)?.parse().ok()
}

/// What a layer takes: over its baseline.
pub const NANOS: &str = "nanos";

/// The same with its baseline.
const GROSS: &str = "gross";

const BASELINE: &str = "baseline";

/// Measures all layers on this path, or one, as a profiler wants it, and says what they take.
pub fn measure(path: &'static Path, effort: Effort, only: Option<&str>) {
    let mut bench = Bench::new(path);
    let mut facts = bench.check();
    if let Some(only) = only {
        let is_wanted: Vec<_> = bench
            .subjects
            .iter()
            .map(|it| it.is_bare() || it.name == only)
            .collect();
        let mut wanted = is_wanted.iter();
        bench.subjects.retain(|_| wanted.next() == Some(&true));
        let mut wanted = is_wanted.iter();
        facts.retain(|_| wanted.next() == Some(&true));
    }
    for (subject, facts) in bench.subjects.iter().zip(&facts) {
        say(subject.name, "package", subject.package);
        say(
            subject.name,
            BASELINE,
            bench.subjects[subject.baseline].name,
        );
        say_facts(subject.name, path, facts);
    }
    let times = match path.is_exported {
        true => processor_times(&mut bench, effort.exported_rounds),
        false => times(&mut bench, effort.rounds),
    };
    for (subject, nanos) in bench.subjects.iter().zip(&times) {
        let net = match subject.is_bare() {
            true => *nanos,
            false => nanos - times[subject.baseline],
        };
        say(subject.name, NANOS, format_args!("{net:.1}"));
        say(subject.name, GROSS, nanos);
    }
}

/// The quickest round of each, all of them in turns: whatever slows the machine down slows down all, and noise only ever
/// adds.
fn times(bench: &mut Bench, rounds: usize) -> Vec<f64> {
    let mut best = vec![Duration::MAX; bench.subjects.len()];
    for _ in 0..rounds {
        for (subject, best) in bench.subjects.iter_mut().zip(&mut best) {
            subject.driver.prepare(REQUESTS);
            let start = Instant::now();
            subject.driver.run();
            *best = start.elapsed().min(*best);
        }
    }
    best.into_iter()
        .map(|time| clock::nanos_each(time, REQUESTS))
        .collect()
}

/// The same for the processor time of the whole process, from the first request until the last span has arrived.
///
/// Between bursts everybody rests a millisecond: the SDK's processor has room for 2,048 spans and loses what is more. A
/// round in which a span was lost does not count.
fn processor_times(bench: &mut Bench, rounds: usize) -> Vec<f64> {
    let mut best = vec![f64::MAX; bench.subjects.len()];
    for _ in 0..rounds {
        for (subject, best) in bench.subjects.iter_mut().zip(&mut best) {
            *best = processor_time(subject).min(*best);
        }
    }
    best
}

fn processor_time(subject: &mut crate::peers::Subject) -> f64 {
    subject.select();
    for _ in 0..100 {
        let before = subject.arrivals.as_ref().map(|arrivals| arrivals.spans());
        let start = clock::of_process();
        let mut preparing = Duration::ZERO;
        for _ in 0..BURSTS {
            let start = clock::of_thread();
            subject.driver.prepare(BURST);
            preparing += clock::of_thread() - start;
            subject.driver.run();
            std::thread::sleep(Duration::from_millis(1));
        }
        subject.flush();
        let taken = (clock::of_process() - start).saturating_sub(preparing);
        let arrived = subject.arrivals.as_ref().map(|arrivals| arrivals.spans());
        if before
            .zip(arrived)
            .is_none_or(|(before, now)| now - before == BURST * BURSTS)
        {
            return clock::nanos_each(taken, BURST * BURSTS);
        }
    }
    panic!("{} has lost spans in every round", subject.name);
}

fn say_facts(name: &str, path: &Path, facts: &Facts) {
    let Facts {
        seen,
        recorded,
        ends_with_body,
    } = facts;
    let yes = |is: bool| if is { "yes" } else { "no" };
    // The parent's is current anyway around a client.
    let is_its_own = |span: Option<u64>| yes(span.is_some_and(|span| span != PARENT_ID));
    say(name, "in call", is_its_own(seen.in_call));
    say(name, "in poll", is_its_own(seen.in_poll));
    say(name, "in body", is_its_own(seen.in_body));
    if path.is_client {
        let sent = seen.traceparent.as_deref().map(|sent| {
            let is_parent = sent.contains(&format!("{PARENT_ID:016x}"));
            match is_parent || recorded.is_none() {
                true => "its parent",
                false => "its span",
            }
        });
        say(name, "sends", sent.unwrap_or("nothing"));
    }
    if let Some(span) = recorded {
        let names: Vec<_> = span
            .names()
            .into_iter()
            .map(|name| format!("`{name}`"))
            .collect();
        say(name, "span", &span.name);
        say(name, "kind", span.kind);
        say(name, "attributes", span.attributes.len());
        say(name, "events", span.events);
        say(name, "names", names.join(", "));
        say(name, "ends", if *ends_with_body { "body" } else { "head" });
    }
}
