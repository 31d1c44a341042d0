//! A tonic service, traced.
//!
//! ```text
//! cargo run -p towline-examples --bin grpc-server -- --listen 127.0.0.1:50051
//! ```

#![allow(
    clippy::print_stdout,
    reason = "the bound address is for the user to see"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use clap::Parser;
use futures_util::{Stream, StreamExt};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tower::BoxError;
use towline::Towline;
use towline_examples::hello::{Greeter, GreeterServer, HelloReply, HelloRequest};
use towline_examples::until_interrupted;

/// Says hello over gRPC.
#[derive(Debug, Parser)]
#[command(name = "grpc-server")]
struct Arguments {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// The configuration file with the `tracing_service` section; without it tracing is off.
    #[arg(long)]
    config: Option<PathBuf>,
}

struct Polite;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let tracing = match arguments.config {
        Some(path) => Towline::from_file(path)?,
        None => Towline::off(),
    };

    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    Server::builder()
        .layer(tracing.grpc_server())
        .add_service(GreeterServer::new(Polite))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), until_interrupted())
        .await?;
    tracing.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

impl Greeter for Polite {
    type SayHellosStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(greet(request.into_inner())?))
    }

    async fn say_hellos(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Self::SayHellosStream>, Status> {
        let replies = request.into_inner().map(|request| greet(request?));
        Ok(Response::new(Box::pin(replies)))
    }
}

fn greet(request: HelloRequest) -> Result<HelloReply, Status> {
    if request.name.is_empty() {
        return Err(Status::invalid_argument("nobody to greet"));
    }
    let message = format!("Hello, {}!", request.name);
    Ok(HelloReply { message })
}
