//! A span forwarder of its own: receives OTLP from senders that it knows, writes on each span who sent it, and sends
//! them on.
//!
//! ```text
//! cargo run --release -p towline-examples --bin forwarder -- --config examples/config/forwarder.yaml --check
//! ```
//!
//! - `examples/config/forwarder.yaml` has every key, with its default and its unit.
//! - `--check` says what would be on, or every mistake, and starts nothing.
//! - The addresses are printed, one a line: `listening on grpc://127.0.0.1:4317`. The log goes to stderr.
//! - Ctrl-C or SIGTERM: nobody gets in any more, requests are finished, and the last line says what has become of all.
//!   A second one ends it at once.
//!
//! # Exit status
//!
//! | status | when |
//! |---|---|
//! | 0 | it was asked to stop, and every request had its answer; with `--check`: the configuration is good |
//! | 1 | it cannot start; with `--check`: the configuration is not good |
//! | 2 | the arguments make no sense |
//! | 3 | it was asked to stop, and not everything could be finished in time, or it was asked twice |

mod interrupts;
mod linger;
mod prepare;
mod problems;
mod report;
mod senders;
mod serve;
mod settings;
mod tls;
mod tokens;
mod units;
mod yaml;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;

use crate::interrupts::Interrupts;
use crate::prepare::{Prepared, prepare};
use crate::report::Report;
use crate::serve::Server;

/// Receives spans over OTLP, stamps who sent them, and sends them on.
#[derive(Debug, Parser)]
#[command(name = "forwarder")]
struct Arguments {
    /// The configuration: a YAML file with `forwarder_service` and `tracing_service`.
    #[arg(long)]
    config: PathBuf,
    /// Say what would be on, or what is wrong, and start nothing.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A check tells by itself what there is to tell.
    let level = match arguments.check {
        true => LevelFilter::OFF,
        false => LevelFilter::INFO,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .init();
    let prepared = match prepare(&arguments.config) {
        Ok(prepared) => prepared,
        Err(problems) => return fail(problems),
    };
    if arguments.check {
        say(&prepared);
        for warning in prepared.warnings() {
            say(format_args!("warning: {warning}"));
        }
        return ExitCode::SUCCESS;
    }
    for warning in prepared.warnings() {
        tracing::warn!("{warning}");
    }
    let interrupts = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(error) => return fail(format_args!("signals cannot be heard: {error}")),
    };
    match Server::bind(&prepared).await {
        Ok(server) => run(server, prepared, interrupts).await,
        Err(error) => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            let file = arguments.config.display();
            fail(format_args!("{file}: {error}: {cause}"))
        }
    }
}

/// From the first connection to the last span.
async fn run(server: Server, prepared: Prepared, mut interrupts: Interrupts) -> ExitCode {
    let Prepared {
        settings,
        forwarder,
        tracing,
        ..
    } = prepared;
    for url in server.urls() {
        say(format_args!("listening on {url}"));
    }
    let stopped = server.run(&mut interrupts, settings.stop_timeout).await;
    if !stopped.finished {
        tracing::warn!("requests were cut off: there was no time left for them");
    }

    // What was acknowledged has been delivered: what is left are spans of our own.
    let delivered = tracing.shutdown(stopped.left.max(LAST_WORD)).await;
    if let Err(error) = &delivered {
        tracing::warn!("{error}");
    }
    say(Report(forwarder.stats()));
    match stopped.finished && delivered.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(UNFINISHED),
    }
}

/// A line on stdout; it is nobody's mistake if nobody reads it.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn fail(why: impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}

/// For the exporter to end when requests have taken all the time there was.
const LAST_WORD: Duration = Duration::from_millis(500);

const UNFINISHED: u8 = 3;
