use std::io;
use std::net::SocketAddr;

use axum::serve::ListenerExt;
use clap::ValueEnum;
use futures_util::stream;
use http::uri::Authority;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use tonic::{Status, Streaming};
use tower::BoxError;
use towline::{GrpcServerLayer, Towline};

use crate::hello::{Greeter, GreeterServer, HelloReply, HelloRequest};
use crate::server::{Server, StopSignal, listen};
use crate::{proxy, users};

/// A layer of the quickstart that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Hop {
    /// The proxy's server layer.
    ProxyServer,
    /// The proxy's client layer.
    ProxyClient,
    /// The app's server layer.
    AppServer,
    /// The layer around the app's cache.
    Cache,
    /// The layer around the app's backend.
    Backend,
    /// The layer around the app's calls of the greeter.
    GreeterClient,
    /// The greeter's server layer.
    GreeterServer,
}

/// A proxy, an app behind it and a gRPC service behind that, serving on loopback.
#[derive(Debug)]
pub struct Cluster {
    proxy: Server,
    app: Server,
    greeter: Server,
    client: Client<HttpConnector, Empty<bytes::Bytes>>,
}

// === impl Cluster ===

impl Cluster {
    /// Starts the servers on ports that the system picks.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start(
        proxy: &Towline,
        app: &Towline,
        greeter: &Towline,
        without: Option<Hop>,
    ) -> Result<Self, BoxError> {
        let with = |hop| without != Some(hop);
        let layer = with(Hop::GreeterServer).then(|| greeter.grpc_server());
        let greeter = Server::start(listen().await?, |listener, stopped| {
            greet(layer, listener, stopped)
        })?;

        let address = greeter.address();
        let channel = Channel::from_shared(format!("http://{address}"))?.connect_lazy();
        let layers = users::Layers {
            server: with(Hop::AppServer).then(|| app.http_server()),
            cache: with(Hop::Cache).then(|| app.spans("cache")),
            backend: with(Hop::Backend).then(|| app.spans("backend")),
            greeter: with(Hop::GreeterClient).then(|| {
                app.grpc_client()
                    .with_server(address.ip().to_string(), address.port())
            }),
        };
        let router = users::app(layers, channel);
        let app = Server::start(listen().await?, |listener, stopped| async move {
            let listener = listener.tap_io(|stream| {
                // A stream whose options cannot be set is about to fail anyway.
                let _ = stream.set_nodelay(true);
            });
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
        })?;

        let hop = proxy::service(
            Authority::try_from(app.address().to_string())?,
            with(Hop::ProxyServer).then(|| proxy.http_server()),
            with(Hop::ProxyClient).then(|| proxy.http_client()),
        );
        let proxy = Server::start(listen().await?, |listener, stopped| {
            proxy::serve(listener, hop, stopped)
        })?;
        Ok(Self {
            proxy,
            app,
            greeter,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Where the proxy listens.
    pub fn proxy_address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// Where the app listens.
    pub fn app_address(&self) -> SocketAddr {
        self.app.address()
    }

    /// Where the greeter listens.
    pub fn greeter_address(&self) -> SocketAddr {
        self.greeter.address()
    }

    /// Sends a request through the proxy and reads the answer to its end.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent or the answer not be read.
    pub async fn get(&self, path: &str, traceparent: Option<&str>) -> Result<StatusCode, BoxError> {
        let mut request = Request::get(format!("http://{}{path}", self.proxy.address()));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let response = self.client.request(request.body(Empty::new())?).await?;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }

    /// Closes every connection and stops the servers; all their spans have ended then.
    ///
    /// # Errors
    ///
    /// When a server had failed.
    pub async fn stop(self) -> Result<(), BoxError> {
        drop(self.client);
        self.proxy.stop().await?;
        self.app.stop().await?;
        self.greeter.stop().await
    }
}

/// Serves the greeter, with its layer or without.
async fn greet(
    layer: Option<GrpcServerLayer>,
    listener: TcpListener,
    stopped: StopSignal,
) -> io::Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let greeter = GreeterServer::new(Polite);
    let mut server = tonic::transport::Server::builder();
    match layer {
        Some(layer) => {
            let server = server.layer(layer).add_service(greeter);
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
        None => {
            let server = server.add_service(greeter);
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
    }
    .map_err(io::Error::other)
}

/// Greets whoever is named.
#[derive(Debug)]
struct Polite;

impl Greeter for Polite {
    type SayHellosStream = stream::Empty<Result<HelloReply, Status>>;

    async fn say_hello(
        &self,
        request: tonic::Request<HelloRequest>,
    ) -> Result<tonic::Response<HelloReply>, Status> {
        let message = format!("Hello, {}!\n", request.into_inner().name);
        Ok(tonic::Response::new(HelloReply { message }))
    }

    async fn say_hellos(
        &self,
        _requests: tonic::Request<Streaming<HelloRequest>>,
    ) -> Result<tonic::Response<Self::SayHellosStream>, Status> {
        Err(Status::unimplemented("one at a time, please"))
    }
}
