//! An axum app with one traced route.
//!
//! ```text
//! cargo run -p towline-examples --bin axum-app -- --listen 127.0.0.1:3000
//! ```

#![allow(
    clippy::print_stdout,
    reason = "the bound address is for the user to see"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use clap::Parser;
use tokio::net::TcpListener;
use tower::{BoxError, ServiceBuilder};
use towline::Towline;
use towline_examples::until_interrupted;

/// Says hello to whoever is named in the path.
#[derive(Debug, Parser)]
#[command(name = "axum-app")]
struct Arguments {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The configuration file with the `tracing_service` section; without it tracing is off.
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

    let app = Router::new()
        .route("/hello/{name}", get(hello))
        .layer(ServiceBuilder::new().layer(tracing.http_server()))
        .into_make_service_with_connect_info::<SocketAddr>();

    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(until_interrupted())
        .await?;
    tracing.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}
