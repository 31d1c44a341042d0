use std::borrow::Cow;
use std::fmt;

use clap::Args;

use super::builder::TraceSessionBuilder;
use super::session::TraceSession;

/// The arguments `--trace` and `--trace-exporter URL`, for any program that parses its arguments with clap.
///
/// | typed | what happens |
/// |---|---|
/// | nothing | nothing: no thread, no socket, no output. A context that the program was started in is passed on, to its requests and to processes that it starts |
/// | `--trace` | the command is recorded, and its spans are forwarded through a connection that the program has anyway: [`TraceSession::forward_through`] |
/// | `--trace --trace-exporter URL` | the spans go to the URL, see [`Endpoint`](crate::Endpoint); the program's connection is left alone |
/// | `--trace-exporter URL` | a usage error that says so: exit code 2 |
///
/// [`start`](Self::start) makes a [`TraceSession`] of them, which has the rest.
///
/// Both are options of the command into which they are flattened: before a subcommand, where they are flattened into the
/// program, as in `mytool --trace ls`.
///
/// # Examples
///
#[cfg_attr(feature = "file", doc = "```")]
#[cfg_attr(not(feature = "file"), doc = "```ignore")]
/// use std::process::ExitCode;
///
/// use clap::{Parser, Subcommand};
/// use towline::{TraceArgs, TraceSession};
///
/// #[derive(Parser)]
/// struct Cli {
///     #[command(flatten)]
///     trace: TraceArgs,
///     #[command(subcommand)]
///     command: Command,
/// }
///
/// #[derive(Subcommand)]
/// enum Command {
///     Ls,
/// }
///
/// async fn list(session: &TraceSession) -> Result<(), std::io::Error> {
///     // Requests through `session.tracing().http_client()` and `grpc_client()` have spans, and carry the context. With
///     // a `tonic::transport::Channel` at hand: session.forward_through(channel.clone());
///     session.tracing().spans("mytool").span("read the index").call(|| ());
///     Ok(())
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
/// #   if false {
///     let cli = Cli::parse();
/// #   drop(cli); }
/// #   let directory = tempfile::tempdir()?;
/// #   let url = format!("file://{}", directory.path().display());
/// #   let cli = Cli::parse_from(["mytool", "--trace", "--trace-exporter", &url, "ls"]);
///     let session = cli.trace.start("mytool", "ls");
///     let result = session.try_run(list(&session)).await;
///     session.finish().await;
/// #   let file = std::fs::read_dir(directory.path())?.next().ok_or("no file")??;
/// #   let spans = std::fs::read_to_string(file.path())?;
/// #   assert!(spans.contains(r#""name":"mytool/ls""#) && spans.contains("read the index"));
///     // The program's own business, traced or not.
///     Ok(match result {
///         Ok(()) => ExitCode::SUCCESS,
///         Err(error) => {
///             eprintln!("mytool: {error}");
///             ExitCode::FAILURE
///         }
///     })
/// }
/// ```
#[derive(Args, Clone, Default)]
#[non_exhaustive]
pub struct TraceArgs {
    /// Record a trace of this command
    #[arg(long)]
    trace: bool,

    /// Send the trace to a collector or into files, such as grpc://collector:4317 or file:///tmp/traces
    #[arg(long, value_name = "URL", requires = "trace")]
    trace_exporter: Option<String>,
}

// === impl TraceArgs ===

impl TraceArgs {
    /// Begins the trace of a command, or, without `--trace`, nothing.
    ///
    /// `program` is the `service.name` of the spans. The root span is named `program/command`, so `command` is the name
    /// of a subcommand and never what a user has typed after it; it may be empty where there are none.
    ///
    /// It never fails: what is wrong with the tracing is told in one line on stderr, and the command runs untraced.
    pub fn start(
        &self,
        program: impl Into<Cow<'static, str>>,
        command: impl AsRef<str>,
    ) -> TraceSession {
        self.session(program, command).start()
    }

    /// [`start`](Self::start) with options.
    pub fn session(
        &self,
        program: impl Into<Cow<'static, str>>,
        command: impl AsRef<str>,
    ) -> TraceSessionBuilder {
        TraceSessionBuilder::new(self.clone(), program.into(), command.as_ref())
    }

    /// Whether `--trace` was given.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.trace
    }

    /// The URL that was given, as it was typed.
    #[must_use]
    pub fn exporter_url(&self) -> Option<&str> {
        self.trace_exporter.as_deref()
    }
}

/// Without the URL, which has not been read yet and may hold a password.
impl fmt::Debug for TraceArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceArgs")
            .field("trace", &self.trace)
            .field("has_exporter", &self.trace_exporter.is_some())
            .finish()
    }
}
