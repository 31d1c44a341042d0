//! The service under test of the W3C's validation suite for Trace Context.
//!
//! ```text
//! cargo run -p towline-examples --bin w3c-service -- --listen 127.0.0.1:7777
//! ```
//!
//! `POST /test` takes a JSON array of `{"url": …, "arguments": […]}`. For each element, in order, it
//! posts `arguments` to `url` within the trace of the request, and answers when all are answered.

#![allow(
    clippy::print_stdout,
    reason = "the bound address is for the user to see"
)]

use std::net::SocketAddr;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use clap::Parser;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::{BoxError, Service, ServiceBuilder};
use towline_examples::until_interrupted;
use towline_http::{client, server};
use towline_sampler::{Control, Rate, Sampler};

/// Serves `POST /test`.
#[derive(Debug, Parser)]
#[command(name = "w3c-service")]
struct Arguments {
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:7777")]
    listen: SocketAddr,
}

/// One callback that the suite asks for.
#[derive(Debug, Deserialize)]
struct Callback {
    url: String,
    arguments: Value,
}

type Traced = client::Trace<Client<HttpConnector, Full<Bytes>>, SdkTracer>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();

    // Nothing is exported: the suite looks at headers only, and an unsampled hop must pass, too.
    let sampler = Sampler::new(Control::new(Rate::NEVER));
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler.clone())
        .build();
    let tracer = provider.tracer("w3c-service");

    let callbacks = ServiceBuilder::new()
        .layer(client::TraceLayer::new(tracer.clone()).with_sampler(sampler.clone()))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let app = Router::new()
        .route("/test", post(test))
        .with_state(callbacks)
        .layer(
            server::TraceLayer::new(tracer)
                .with_sampler(sampler)
                .with_axum(),
        );

    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(until_interrupted())
        .await?;
    Ok(())
}

async fn test(
    State(mut callbacks): State<Traced>,
    Json(wanted): Json<Vec<Callback>>,
) -> Result<Json<()>, StatusCode> {
    for callback in wanted {
        // A suite that hangs up on a callback has its reasons; the others still want theirs.
        let request = Request::post(callback.url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(callback.arguments.to_string()))
            .map_err(|_error| StatusCode::BAD_REQUEST)?;
        if let Ok(response) = callbacks.call(request).await {
            let _ = response.into_body().collect().await;
        }
    }
    Ok(Json(()))
}
