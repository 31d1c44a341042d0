//! A tonic client, traced by a layer, or by an interceptor where only that fits.
//!
//! ```text
//! cargo run -p towline-examples --bin grpc-client -- --server http://127.0.0.1:50051 Ada Grace
//! ```

#![allow(clippy::print_stdout, reason = "the answers are for the user to see")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use futures_util::stream;
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::{Channel, Uri};
use tower::{BoxError, ServiceBuilder};
use towline::Towline;
use towline_examples::hello::{GreeterClient, HelloRequest};

/// Has somebody greeted over gRPC: one call for each name, and one for all of them.
#[derive(Debug, Parser)]
#[command(name = "grpc-client")]
struct Arguments {
    /// The server, or a proxy before it.
    #[arg(long, default_value = "http://127.0.0.1:50051")]
    server: Uri,
    /// Pass the context on by an interceptor, which makes no span of its own.
    #[arg(long)]
    interceptor: bool,
    /// The configuration file with the `tracing_service` section; without it tracing is off.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Who is to be greeted.
    #[arg(default_value = "Ada")]
    names: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let tracing = match arguments.config {
        Some(path) => Towline::from_file(path)?,
        None => Towline::off(),
    };

    let channel = Channel::builder(arguments.server.clone()).connect().await?;
    // What the calls are made for; their spans are below it.
    let spans = tracing.spans("grpc-client");
    let work = spans.span("greet everybody");
    let result = if arguments.interceptor {
        let client = GreeterClient::with_interceptor(channel, tracing.grpc_interceptor());
        work.try_run(greet(client, arguments.names)).await
    } else {
        let mut layer = tracing.grpc_client();
        // tonic's channel does not tell its layers where it goes.
        if let (Some(host), Some(port)) = (arguments.server.host(), arguments.server.port_u16()) {
            layer = layer.with_server(host, port);
        }
        let channel = ServiceBuilder::new().layer(layer).service(channel);
        work.try_run(greet(GreeterClient::new(channel), arguments.names))
            .await
    };
    // The spans are sent whether the work has succeeded or not.
    tracing.shutdown(Duration::from_secs(5)).await?;
    Ok(result?)
}

async fn greet<T>(mut client: GreeterClient<T>, names: Vec<String>) -> Result<(), Status>
where
    T: GrpcService<Body>,
    T::Error: Into<BoxError>,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<BoxError> + Send,
{
    for name in names.clone() {
        let reply = client.say_hello(HelloRequest { name }).await?;
        println!("{}", reply.into_inner().message);
    }
    let requests = names.into_iter().map(|name| HelloRequest { name });
    let mut replies = client
        .say_hellos(stream::iter(requests))
        .await?
        .into_inner();
    while let Some(reply) = replies.message().await? {
        println!("{}", reply.message);
    }
    Ok(())
}
