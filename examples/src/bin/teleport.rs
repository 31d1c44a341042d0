//! RFD 65's story in one command: a small Teleport whose servers record nothing of their own accord, and a user who types
//! `tsh --trace`.
//!
//! ```text
//! cargo run --release -p towline-examples --bin teleport
//! ```
//!
//! Each scenario has a cluster of its own: an auth server, a proxy and a node in this process, and `tsh` as a process
//! of its own, which is this program again. The trace is read back from where the auth server has exported it, and
//! printed as a tree. `towline_examples::teleport` says what to read where.
//!
//! Exits with 0 only if every expected span was there, under the right parent, with the right stamp, and if every
//! command did with `--trace` exactly what it does without.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use tower::BoxError;
use towline_examples::picture;
use towline_examples::teleport::{Part, SCENARIOS, Told, tell, tsh};

/// Traces the commands of a small Teleport, from the command line to its backend.
#[derive(Debug, Parser)]
#[command(
    name = "teleport",
    after_help = "teleport tsh ... is the command-line tool, which is started for every scenario."
)]
struct Arguments {
    /// Where to make the folder for the spans, which is named. Default: among the temporary ones.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Tell only this part of the story.
    #[arg(long, value_name = "SCENARIO", value_parser = names())]
    only: Option<String>,
    /// Leave one part of the tracing out, to see what it did.
    #[arg(long, value_name = "PART")]
    without: Option<Part>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == "tsh").is_some() {
        return Ok(tsh::run(["tsh".into()].into_iter().chain(arguments)).await);
    }
    story(Arguments::parse()).await
}

async fn story(arguments: Arguments) -> Result<ExitCode, BoxError> {
    // A warning for a user who may not forward spans, among others.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(io::stderr)
        .init();
    let mut folder = tempfile::Builder::new();
    folder.prefix("teleport-");
    let folder = match arguments.dir {
        Some(dir) => folder.tempdir_in(std::path::absolute(dir)?)?.keep(),
        None => folder.tempdir()?.keep(),
    };
    let program = std::env::current_exe()?;

    let (mut count, mut wrong) = (0, Vec::new());
    for scenario in &SCENARIOS {
        if arguments
            .only
            .as_deref()
            .is_some_and(|only| only != scenario.name)
        {
            continue;
        }
        let directory = folder.join(scenario.name);
        let told = tell(scenario, &directory, &program, arguments.without).await?;
        count += told.spans.len();
        writeln!(io::stdout(), "{}: {}\n", scenario.name, scenario.title)?;
        print(scenario.user, &told)?;
        wrong.extend(
            told.wrong
                .into_iter()
                .map(|line| format!("{}: {line}", scenario.name)),
        );
    }
    writeln!(io::stdout(), "{count} spans in {}", folder.display())?;
    if wrong.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for line in wrong {
        writeln!(io::stdout(), "not as expected: {line}")?;
    }
    Ok(ExitCode::FAILURE)
}

fn print(user: &str, told: &Told) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "  {user}$ {}", told.typed)?;
    for line in told.stdout.lines().chain(told.stderr.lines()) {
        writeln!(out, "  {line}")?;
    }
    match told.spans.first() {
        Some(span) => writeln!(out, "\n  trace {}", span.trace_id)?,
        None => writeln!(out, "\n  no trace")?,
    }
    writeln!(out, "{}", picture::tree(&told.spans))
}

fn names() -> PossibleValuesParser {
    SCENARIOS.map(|scenario| scenario.name).into()
}
