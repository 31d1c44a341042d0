//! A command-line program that traces a command when it is asked to, and forwards the trace through the server that it
//! talks to anyway.
//!
//! ```text
//! cargo run -p towline-examples --bin trace-cli -- --trace --trace-exporter file:///tmp/traces hello Ada
//! cargo run -p towline-examples --bin trace-cli -- --trace hello Ada
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the answers are for the user to see"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::process::Command;
use tonic::transport::{Channel, Uri};
use tower::{BoxError, ServiceBuilder};
use towline::{TraceArgs, TraceSession};
use towline_examples::hello::{GreeterClient, HelloRequest};

/// Does as it is told, and tells about it.
#[derive(Debug, Parser)]
#[command(name = "trace-cli")]
struct Arguments {
    #[command(flatten)]
    trace: TraceArgs,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Has somebody greeted, over gRPC.
    Hello {
        /// The server.
        #[arg(long, default_value = "http://127.0.0.1:50051")]
        server: Uri,
        /// Who is to be greeted.
        name: String,
    },
    /// Runs another program, and ends as it does.
    Run {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Waits until Ctrl-C.
    Wait,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let session = arguments.trace.start("trace-cli", arguments.task.name());
    let result = tokio::select! {
        // The first to be asked, so that it hears from the beginning.
        biased;
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        // Dropped by Ctrl-C, it ends its spans.
        result = session.try_run(arguments.task.execute(&session)) => result,
    };
    session.finish().await;
    result.unwrap_or_else(|error| {
        eprintln!("trace-cli: {error}");
        ExitCode::FAILURE
    })
}

impl Task {
    const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Run { .. } => "run",
            Self::Wait => "wait",
        }
    }

    async fn execute(self, session: &TraceSession) -> Result<ExitCode, BoxError> {
        match self {
            Self::Hello { server, name } => hello(session, server, name).await,
            Self::Run { command } => run(session, &command).await,
            Self::Wait => {
                println!("waiting");
                std::future::pending().await
            }
        }
    }
}

async fn hello(session: &TraceSession, server: Uri, name: String) -> Result<ExitCode, BoxError> {
    let channel = Channel::builder(server).connect().await?;
    session.forward_through(channel.clone());
    let channel = ServiceBuilder::new()
        .layer(session.tracing().grpc_client())
        .service(channel);
    let reply = GreeterClient::new(channel)
        .say_hello(HelloRequest { name })
        .await?;
    println!("{}", reply.into_inner().message);
    Ok(ExitCode::SUCCESS)
}

async fn run(session: &TraceSession, command: &[String]) -> Result<ExitCode, BoxError> {
    let (program, arguments) = command.split_first().ok_or("there is nothing to run")?;
    let mut command = Command::new(program);
    command.args(arguments);
    // It goes on with the trace, if it knows how.
    session.inject(command.as_std_mut());
    let status = command.status().await?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
