//! The layers for gRPC, and those for a port that carries gRPC and other HTTP.

use opentelemetry_sdk::trace::SdkTracer;
use towline_grpc::interceptor::{ExtractInterceptor, InjectInterceptor};
use towline_grpc::{ByContentType, client, server};

use crate::{HttpClientLayer, HttpServerLayer, Towline, scope};

#[cfg_attr(docsrs, doc(cfg(feature = "grpc-layers")))]
impl Towline {
    /// The layer for a server of gRPC, such as tonic's; see [`server`] for what it does and for its options.
    ///
    /// # Examples
    ///
    /// ```
    /// use tonic::transport::Server;
    /// use towline::Towline;
    ///
    /// let tracing = Towline::off();
    /// let mut server = Server::builder().layer(tracing.grpc_server());
    /// # drop(server.add_routes(tonic::service::Routes::default()));
    /// // server.add_service(GreeterServer::new(greeter)).serve(address)
    /// ```
    #[must_use]
    pub fn grpc_server(&self) -> GrpcServerLayer {
        let spans = self.spans_of(scope::grpc());
        let layer = server::TraceLayer::from_spans(spans)
            .with_propagator(self.propagator())
            .with_filters(self.filters().clone());
        self.layer_options().grpc_server(layer)
    }

    /// The layer for a client of gRPC, such as tonic's `Channel`; see [`client`] for what it does and for its options.
    ///
    /// # Examples
    ///
    /// ```
    /// use tonic::transport::Channel;
    /// use tower::ServiceBuilder;
    /// use towline::Towline;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let tracing = Towline::off();
    /// let channel = ServiceBuilder::new()
    ///     .layer(tracing.grpc_client().with_server("greeter.example", 50051))
    ///     .service(Channel::from_static("http://greeter.example:50051").connect_lazy());
    /// // GreeterClient::new(channel)
    /// # drop(channel);
    /// # }
    /// ```
    #[must_use]
    pub fn grpc_client(&self) -> GrpcClientLayer {
        let spans = self.spans_of(scope::grpc());
        let layer = client::TraceLayer::from_spans(spans).with_propagator(self.propagator());
        self.layer_options().grpc_client(layer)
    }

    /// For a client of tonic's that takes nothing but an interceptor: passes the current context on, and makes no span;
    /// see [`towline_grpc::interceptor`].
    #[must_use]
    pub fn grpc_interceptor(&self) -> InjectInterceptor {
        InjectInterceptor::new().with_propagator(self.propagator())
    }

    /// For a service of tonic's that takes nothing but an interceptor: leaves the caller's context in the extensions of
    /// the request, and makes no span; see [`towline_grpc::interceptor`].
    #[must_use]
    pub fn grpc_server_interceptor(&self) -> ExtractInterceptor {
        ExtractInterceptor::new().with_propagator(self.propagator())
    }

    /// The layer for a server of gRPC and other HTTP on one port: each request has the span of its protocol, by its
    /// `content-type`; see [`ByContentType`].
    #[must_use]
    pub fn server(&self) -> ServerLayer {
        ByContentType::new(self.http_server(), self.grpc_server())
    }

    /// The layer for a client of gRPC and other HTTP, such as a proxy's; see [`ByContentType`].
    #[must_use]
    pub fn client(&self) -> ClientLayer {
        ByContentType::new(self.http_client(), self.grpc_client())
    }
}

/// The layer of [`Towline::grpc_server`].
pub type GrpcServerLayer = server::TraceLayer<SdkTracer>;

/// The layer of [`Towline::grpc_client`].
pub type GrpcClientLayer = client::TraceLayer<SdkTracer>;

/// The layer of [`Towline::server`].
pub type ServerLayer = ByContentType<HttpServerLayer, GrpcServerLayer>;

/// The layer of [`Towline::client`].
pub type ClientLayer = ByContentType<HttpClientLayer, GrpcClientLayer>;
