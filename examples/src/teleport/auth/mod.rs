//! The auth server: who is who, which nodes there are, and the forwarder of spans.

mod authorize;
mod service;
mod store;

use std::io;
use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming, TlsConnectInfo};
use tower::BoxError;
use towline::{ServerLayer, Towline};
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_forwarder::{AnyAuthenticated, Forwarder, OnRefusal};

use self::authorize::{Tracers, identify};
use self::service::AuthService;
use super::certificates::Credentials;
use super::part::Part;
use super::proto::Carrier;
use super::user::User;
use crate::server::StopSignal;

pub(crate) use self::store::Store;

/// What the auth server is called in its certificate.
pub(crate) const SERVER_NAME: &str = "auth.example";

/// What whoever asks is told before it has logged in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ping {
    pub(crate) cluster: String,
    /// Where the auth server takes gRPC.
    pub(crate) auth: SocketAddr,
}

/// The forwarder: whoever has the role may hand spans over, and they go where the auth server's own go.
///
/// Others are told that all is well, as the RFD has it, and the log has a warning: the trace is no business of the
/// command's.
pub(crate) fn forwarder(tracing: &Towline, without: Option<Part>) -> Forwarder {
    let builder = Forwarder::builder().on_refusal(OnRefusal::Discard);
    let builder = match tracing.exporter() {
        Some(exporter) => builder.exporter(exporter.service()),
        None => builder,
    };
    let builder = if without == Some(Part::RoleCheck) {
        builder.authorize(AnyAuthenticated)
    } else {
        builder.authorize(Tracers)
    };
    let key = if without == Some(Part::Stamp) {
        "somebody.else"
    } else {
        FORWARDED_FOR
    };
    builder.key(key).build()
}

/// All that listens on the auth server's port: its own gRPC service, the forwarder under both of its names, and a page
/// of the web API, for the proxy.
pub(crate) fn routes(
    ping: Ping,
    store: Store,
    node: Carrier,
    forwarder: Option<&Forwarder>,
    tracing: Option<ServerLayer>,
) -> Router {
    let mut routes = Routes::new(AuthService::new(store, node));
    if let Some(forwarder) = forwarder {
        // OTLP's own method, which any exporter knows.
        routes = routes.add_service(forwarder.grpc());
    }
    let mut router = routes.into_axum_router();
    if let Some(forwarder) = forwarder {
        // The RFD's, which is one method more of the service above.
        router = router.route_service(EXPORT_SPAN, forwarder.grpc());
    }
    let router = router
        .merge(
            Router::new()
                .route("/webapi/ping", get(answer_ping))
                .with_state(ping),
        )
        .layer(from_fn(authenticate));
    match tracing {
        // Around everything: whoever is turned away is in the trace as well.
        Some(layer) => router.layer(layer),
        None => router,
    }
}

/// The RFD's name for handing spans over.
pub(crate) const EXPORT_SPAN: &str = "/proto.AuthService/ExportSpan";

/// Serves on mTLS: whoever has no certificate of the cluster's gets no connection.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    credentials: Credentials,
    stopped: StopSignal,
) -> io::Result<()> {
    Server::builder()
        .tls_config(credentials.grpc_server())
        .map_err(io::Error::other)?
        .add_routes(router.into())
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stopped,
        )
        .await
        .map_err(io::Error::other)
}

async fn answer_ping(State(ping): State<Ping>) -> Json<Ping> {
    Json(ping)
}

/// Leaves in the request who has sent it: the [`User`] for our own services, the identity for the forwarder.
async fn authenticate(mut request: Request, next: Next) -> Response {
    match user(&request) {
        Ok(user) => {
            identify(&mut request, user);
            next.run(request).await
        }
        Err(error) => Status::unauthenticated(error.to_string())
            .into_http::<axum::body::Body>()
            .into_response(),
    }
}

fn user(request: &Request) -> Result<User, BoxError> {
    let connection = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    let certificates = connection.and_then(|connection| connection.peer_certs());
    let certificate = certificates
        .as_ref()
        .and_then(|certificates| certificates.first());
    User::from_der(certificate.ok_or("there is no certificate")?)
}
