//! A node: what it says of itself over gRPC, and the sessions that it takes.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Body as HttpBody;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::{BoxError, Service};
use towline::GrpcServerLayer;

use super::certificates::Credentials;
use super::proto::{
    Access, CHECK_ACCESS, Carrier, DESCRIBE, Description, Empty, NODE, answer, call,
};
use super::session::{Executed, Host};
use super::user::User;
use crate::server::StopSignal;

/// What the node is called.
pub(crate) const NAME: &str = "web-1";

/// `proto.NodeService`, as a service for tonic's router.
#[derive(Clone, Copy, Debug)]
struct NodeService;

/// What takes the node's sessions.
#[derive(Clone)]
pub(crate) struct Shell {
    /// To the auth server, which knows who may be whom.
    pub(crate) auth: Carrier,
}

/// Serves the node's gRPC, on mTLS.
pub(crate) async fn serve(
    listener: TcpListener,
    credentials: Credentials,
    tracing: Option<GrpcServerLayer>,
    stopped: StopSignal,
) -> io::Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder()
        .tls_config(credentials.grpc_server())
        .map_err(io::Error::other)?;
    match tracing {
        Some(layer) => {
            let mut server = server.layer(layer);
            let server = server.add_service(NodeService);
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
        None => {
            let mut server = server;
            let server = server.add_service(NodeService);
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
    }
    .map_err(io::Error::other)
}

// === impl NodeService ===

impl NamedService for NodeService {
    const NAME: &'static str = NODE;
}

impl<B> Service<http::Request<B>> for NodeService
where
    B: HttpBody + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            Ok(if request.uri().path() == DESCRIBE.path {
                answer(request, describe).await
            } else {
                Status::unimplemented("no such method").into_http()
            })
        })
    }
}

async fn describe(_: Empty) -> Result<Description, Status> {
    let labels = "env=example".to_owned();
    Ok(Description { labels })
}

// === impl Shell ===

impl Host for Shell {
    fn details(&self) -> String {
        format!("{NAME}, in the cluster example")
    }

    /// Answers a few commands; nothing is run.
    async fn execute(
        &self,
        user: User,
        login: String,
        command: Vec<String>,
    ) -> Result<Executed, String> {
        let access = Access {
            user: user.name,
            login: login.clone(),
        };
        let allowed = call::<_, Empty>(self.auth.clone(), CHECK_ACCESS, access).await;
        allowed.map_err(|status| status.message().to_owned())?;
        let (stdout, status) = match command.first().map(String::as_str) {
            None => (format!("Welcome to {NAME}, {login}.\n"), 0),
            Some("hostname") => (format!("{NAME}\n"), 0),
            Some("whoami") => (format!("{login}\n"), 0),
            Some("false") => (String::new(), 1),
            Some(_) => (String::new(), COMMAND_NOT_FOUND),
        };
        Ok(Executed { stdout, status })
    }
}

/// As shells have it.
const COMMAND_NOT_FOUND: u8 = 127;
