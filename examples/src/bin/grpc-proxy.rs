//! A reverse proxy for any gRPC service, one hop of every trace.
//!
//! ```text
//! cargo run -p towline-examples --bin grpc-proxy -- --listen 127.0.0.1:50050 --upstream 127.0.0.1:50051
//! ```

#![allow(
    clippy::print_stdout,
    reason = "the bound address is for the user to see"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use http::uri::Authority;
use tokio::net::TcpListener;
use tower::BoxError;
use towline::Towline;
use towline_examples::{grpc_proxy, proxy, until_interrupted};

/// Forwards every call to one upstream, and knows nothing of its messages.
#[derive(Debug, Parser)]
#[command(name = "grpc-proxy")]
struct Arguments {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:50050")]
    listen: SocketAddr,
    /// Where to send calls on to, `host:port`.
    #[arg(long)]
    upstream: Authority,
    /// The configuration file with the `tracing_service` section; without it tracing is off and
    /// trace context passes through.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let tracing = match arguments.config {
        Some(path) => Towline::from_file(path)?,
        None => Towline::off(),
    };

    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let service = grpc_proxy::service(arguments.upstream, &tracing);
    proxy::serve(listener, service, until_interrupted()).await?;
    tracing.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
