use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http::uri::{Authority as HostAndPort, Scheme};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tower::{BoxError, ServiceExt};
use towline::Towline;
use towline_forwarder::{Forwarder, Stats};
use towline_propagation::envelope::Envelope;

use super::auth::{self, Ping, SERVER_NAME, Store};
use super::certificates::{Authority, Credentials};
use super::node::{self, NAME, Shell};
use super::part::Part;
use super::proto::carrier;
use super::session::Sessions;
use crate::proxy;
use crate::server::{Server, listen};

/// What a [`Cluster`] is to be like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The folder into which the servers write their spans: the backend, which `tsh` knows nothing of.
    pub spans: PathBuf,
    /// How old it is.
    pub age: Age,
    /// A part of the tracing that is left out.
    pub without: Option<Part>,
}

/// Whether a cluster knows of all this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Age {
    /// It does.
    New,
    /// Its auth server has no forwarder, and its node knows no envelopes.
    Old,
}

/// An auth server, a proxy and a node, serving on loopback.
#[derive(Debug)]
pub struct Cluster {
    proxy: Server,
    auth: Server,
    node: Server,
    sessions: Server,
    tracings: [Towline; 3],
    forwarder: Option<Forwarder>,
    home: TempDir,
}

// === impl Options ===

impl Options {
    /// A new cluster, with nothing left out.
    pub fn new(spans: impl Into<PathBuf>) -> Self {
        Self {
            spans: spans.into(),
            age: Age::New,
            without: None,
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// Makes the certificates and starts the servers.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on, or the spans cannot be written.
    pub async fn start(options: Options) -> Result<Self, BoxError> {
        let Options {
            spans,
            age,
            without,
        } = options;
        let url = format!("file://{}", spans.display());
        // Three services that record what a sampled caller asks for, and nothing else.
        let tracings = [
            traced("auth", &url)?,
            traced("proxy", &url)?,
            traced("node", &url)?,
        ];
        let [auth_tracing, proxy_tracing, node_tracing] = &tracings;

        let authority = Authority::new()?;
        let auth_identity = authority.issue("Auth.example", &["Auth"], Some(SERVER_NAME))?;
        let proxy_identity = authority.issue("Proxy.example", &["Proxy"], None)?;
        let node_identity = authority.issue("Node.example", &["Node"], Some(NAME))?;
        let home = tempfile::tempdir()?;
        for (user, roles) in USERS {
            authority
                .issue(user, roles, None)?
                .write(home.path(), user)?;
        }

        // Auth server and node call each other, so that both addresses come first.
        let (auth_port, node_port, sessions_port) =
            (listen().await?, listen().await?, listen().await?);
        let auth_address = auth_port.local_addr()?;
        let node_address = node_port.local_addr()?;
        let sessions_address = sessions_port.local_addr()?;

        let layer = Part::NodeServer.unless(without, || node_tracing.grpc_server());
        let node = Server::start(node_port, |listener, stopped| {
            node::serve(listener, node_identity.clone(), layer, stopped)
        })?;
        let layer = Part::NodeClient.unless(without, || node_tracing.grpc_client());
        let sessions = Sessions {
            host: Shell {
                auth: carrier(channel(auth_address, &node_identity, SERVER_NAME)?, layer),
            },
            tls: node_identity.acceptor()?,
            envelope: (age == Age::New)
                .then(|| Envelope::new().with_propagator(node_tracing.propagator())),
            spans: Part::NodeSession.unless(without, || node_tracing.spans("session")),
        };
        let sessions = Server::start(sessions_port, |listener, stopped| {
            sessions.serve(listener, stopped)
        })?;

        let forwarder = (age == Age::New && without != Some(Part::Forwarder))
            .then(|| auth::forwarder(auth_tracing, without));
        let layer = Part::AuthClient.unless(without, || auth_tracing.grpc_client());
        let router = auth::routes(
            Ping {
                cluster: "example".to_owned(),
                auth: auth_address,
            },
            Store::new(records(sessions_address), auth_tracing, without),
            carrier(channel(node_address, &auth_identity, NAME)?, layer),
            forwarder.as_ref(),
            Part::AuthServer.unless(without, || auth_tracing.server()),
        );
        let auth = Server::start(auth_port, |listener, stopped| {
            auth::serve(listener, router, auth_identity, stopped)
        })?;

        // A gRPC channel carries any HTTP.
        let upstream = channel(auth_address, &proxy_identity, SERVER_NAME)?
            .map_request(|request: Request<Body>| request.map(tonic::body::Body::new));
        let hop = proxy::through(
            upstream,
            (
                Scheme::HTTPS,
                HostAndPort::try_from(auth_address.to_string())?,
            ),
            Part::ProxyServer.unless(without, || proxy_tracing.http_server()),
            Part::ProxyClient.unless(without, || proxy_tracing.http_client()),
        );
        let proxy = Server::start(listen().await?, |listener, stopped| {
            proxy::serve(listener, hop, stopped)
        })?;
        Ok(Self {
            proxy,
            auth,
            node,
            sessions,
            tracings,
            forwarder,
            home,
        })
    }

    /// `tsh` of a user, ready for its arguments. `program` is one that hands what follows `tsh` to
    /// [`tsh::run`](super::tsh::run).
    pub fn tsh(&self, program: &Path, user: &str) -> Command {
        let mut tsh = Command::new(program);
        tsh.arg("tsh")
            .env("TELEPORT_PROXY", format!("http://{}", self.proxy.address()))
            .env("TELEPORT_USER", user)
            .env("TELEPORT_HOME", self.home.path());
        // It begins a trace of its own, wherever we have been started.
        for variable in ["TRACEPARENT", "TRACESTATE", "BAGGAGE"] {
            tsh.env_remove(variable);
        }
        tsh
    }

    /// Closes every connection, stops the servers and brings their spans home. Answers what the forwarder, if there is
    /// one, has received.
    ///
    /// # Errors
    ///
    /// When a server had failed, or spans were lost.
    pub async fn stop(self) -> Result<Option<Stats>, BoxError> {
        self.proxy.stop().await?;
        self.sessions.stop().await?;
        self.auth.stop().await?;
        self.node.stop().await?;
        for tracing in self.tracings {
            tracing.shutdown(Duration::from_secs(5)).await?;
        }
        Ok(self.forwarder.map(|forwarder| forwarder.stats()))
    }
}

fn traced(service: &'static str, url: &str) -> Result<Towline, BoxError> {
    Ok(Towline::builder()
        .with_service_name(service)
        .with_exporter_url(url)
        .with_sampling_rate(towline::Rate::NEVER)
        .build()?)
}

/// To a server of the cluster, as somebody of the cluster.
fn channel(
    address: SocketAddr,
    credentials: &Credentials,
    server: &str,
) -> Result<Channel, BoxError> {
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?;
    Ok(endpoint
        .tls_config(credentials.grpc_client(server))?
        .connect_lazy())
}

/// What is in the auth server's backend: nodes with their addresses, users with their logins.
fn records(sessions: SocketAddr) -> BTreeMap<String, String> {
    let logins = |user: &str| (format!("/users/{user}"), "root,deploy".to_owned());
    let mut records: BTreeMap<_, _> = USERS.iter().map(|(user, _)| logins(user)).collect();
    records.insert(format!("/nodes/{NAME}"), sessions.to_string());
    records
}

/// Those who have logged in, and their roles: bob may do as alice does, but not have it traced.
const USERS: [(&str, &[&str]); 2] = [("alice", &["access", "tracer"]), ("bob", &["access"])];
