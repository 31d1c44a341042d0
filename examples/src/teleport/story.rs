use std::io;
use std::path::Path;
use std::process::{Command, Output};

use clap::ValueEnum;
use tower::BoxError;
use towline_forwarder::Stats;
use towline_forwarder::stamp::FORWARDED_FOR;

use super::cluster::{Cluster, Options};
use super::part::Part;
use super::scenarios::{Received, Scenario};
use crate::expected::check;
use crate::spans::{self, Span};

/// What came of a scenario.
#[derive(Debug)]
#[non_exhaustive]
pub struct Told {
    /// The command, as it was typed.
    pub typed: String,
    /// What it has printed.
    pub stdout: String,
    /// What it has said is wrong.
    pub stderr: String,
    /// Every span that it has left behind.
    pub spans: Vec<Span>,
    /// What is not as it should be, a line each.
    pub wrong: Vec<String>,
}

/// Lets a scenario happen in a cluster of its own, which writes spans into `directory`; `program` is the one to start
/// for `tsh`.
///
/// # Errors
///
/// When the cluster or a process cannot be started, or the spans not be read.
pub async fn tell(
    scenario: &Scenario,
    directory: &Path,
    program: &Path,
    without: Option<Part>,
) -> Result<Told, BoxError> {
    let (servers, own) = (directory.join("servers"), directory.join("tsh"));
    let mut options = Options::new(&servers);
    options.age = scenario.age;
    options.without = without;
    let cluster = Cluster::start(options).await?;

    // Traced first, while the caches are empty.
    let mut arguments = vec!["--trace".to_owned()];
    if scenario.has_exporter {
        let url = format!("file://{}", own.display());
        arguments.extend(["--trace-exporter".to_owned(), url]);
    }
    arguments.extend(scenario.command.iter().map(|&argument| argument.to_owned()));
    let typed = format!("tsh {}", arguments.join(" "));
    let mut traced = cluster.tsh(program, scenario.user);
    if let Some(part) = without.and_then(|part| part.to_possible_value()) {
        traced.args(["--without", part.get_name()]);
    }
    if let Some(method) = scenario.forward_by.to_possible_value() {
        traced.args(["--forward-by", method.get_name()]);
    }
    traced.args(arguments);
    let traced = run(traced).await?;
    let mut plain = cluster.tsh(program, scenario.user);
    plain.args(scenario.command);
    let plain = run(plain).await?;
    let received = cluster.stop().await?;

    let mut spans = spans::read(&servers)?;
    if own.exists() {
        spans.extend(spans::read(&own)?);
    }
    let mut wrong = check_outputs(scenario, &traced, &plain);
    // An untraced command leaves nothing: whatever is there beyond the trace is told as well.
    wrong.extend(check(&spans, scenario.spans, ""));
    wrong.extend(check_ids(&spans));
    wrong.extend(check_stamps(scenario, &spans));
    wrong.extend(check_forwarder(scenario, received.as_ref(), &spans));
    Ok(Told {
        typed,
        stdout: String::from_utf8_lossy(&traced.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&traced.stderr).into_owned(),
        spans,
        wrong,
    })
}

/// Runs a process while the servers of this one go on.
async fn run(command: Command) -> io::Result<Output> {
    tokio::process::Command::from(command).output().await
}

/// With `--trace` and without, a command is the same to whoever has typed it.
fn check_outputs(scenario: &Scenario, traced: &Output, plain: &Output) -> Vec<String> {
    let mut wrong = Vec::new();
    if plain.status.code() != Some(scenario.exit_code) {
        wrong.push(format!(
            "the command ends with {}, expected {}: {}",
            plain.status,
            scenario.exit_code,
            String::from_utf8_lossy(&plain.stderr)
        ));
    }
    if traced.status != plain.status {
        wrong.push(format!(
            "with --trace the command ends with {}, without with {}",
            traced.status, plain.status
        ));
    }
    for (what, traced, plain) in [
        ("stdout", &traced.stdout, &plain.stdout),
        ("stderr", &traced.stderr, &plain.stderr),
    ] {
        if traced != plain {
            wrong.push(format!(
                "with --trace {what} is {:?}, without {:?}",
                String::from_utf8_lossy(traced),
                String::from_utf8_lossy(plain)
            ));
        }
    }
    wrong
}

/// All are of one trace.
fn check_ids(spans: &[Span]) -> Option<String> {
    let first = spans.first()?;
    let stray = spans.iter().find(|span| span.trace_id != first.trace_id)?;
    Some(format!(
        "\"{}\" of {} is in another trace than \"{}\" of {}",
        stray.name, stray.service, first.name, first.service
    ))
}

/// What `tsh` has sent says who sent it, and nothing else says so.
fn check_stamps(scenario: &Scenario, spans: &[Span]) -> Vec<String> {
    let wanted = |span: &Span| scenario.stamp.filter(|_| span.service == "tsh");
    let wrong = spans.iter().filter_map(|span| {
        let found = span.attributes.get(FORWARDED_FOR).map(String::as_str);
        (found != wanted(span)).then(|| {
            format!(
                "\"{}\" of {} has {FORWARDED_FOR} {found:?}, expected {:?}",
                span.name,
                span.service,
                wanted(span)
            )
        })
    });
    wrong.collect()
}

/// The forwarder has had what the scenario says, and that is what has arrived.
fn check_forwarder(
    scenario: &Scenario,
    received: Option<&Stats>,
    spans: &[Span],
) -> Option<String> {
    let stats = received.copied().unwrap_or_default();
    let own = spans.iter().filter(|span| span.service == "tsh").count() as u64;
    let is_right = match scenario.forwarder {
        Received::Nothing => stats.requests.received == 0,
        Received::Refused => stats.requests.refused.unauthorized > 0 && stats.spans.received == 0,
        Received::Spans => own > 0 && stats.spans.forwarded == own,
    };
    (!is_right).then(|| {
        let wanted = match scenario.forwarder {
            Received::Nothing => "no requests at the forwarder",
            Received::Refused => "the forwarder to refuse the user",
            Received::Spans => "the forwarder to forward the spans of tsh",
        };
        format!("expected {wanted}: {stats:?}")
    })
}
