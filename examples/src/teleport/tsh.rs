//! `tsh`, the command-line tool: a process of its own, which can reach the proxy, the auth server and the node, but not
//! the backend of the traces.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the answers are for the user to see"
)]

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tonic::transport::{Channel, Endpoint};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};
use towline::otlp::Grpc;
use towline::{TraceArgs, TraceSession};

use super::auth::{EXPORT_SPAN, Ping, SERVER_NAME};
use super::certificates::Credentials;
use super::part::Part;
use super::proto::{self, Carrier, GET_NODE, LIST_NODES, Node, NodeName, Nodes, call, carrier};
use super::session::{Client, Opening};

/// Lists the nodes of a cluster, and opens sessions on them.
#[derive(Debug, Parser)]
#[command(name = "tsh")]
struct Arguments {
    // --trace and --trace-exporter: there is nothing more to it.
    #[command(flatten)]
    trace: TraceArgs,
    /// The method by which spans are forwarded.
    #[arg(long, value_enum, default_value_t, env = "TSH_FORWARD_BY")]
    forward_by: ForwardBy,
    /// The proxy.
    #[arg(long, value_name = "URL", env = "TELEPORT_PROXY")]
    proxy: Uri,
    /// Who one is.
    #[arg(long, value_name = "NAME", env = "TELEPORT_USER")]
    user: String,
    /// Where a login has left the certificates.
    #[arg(long, value_name = "FOLDER", env = "TELEPORT_HOME")]
    home: PathBuf,
    /// Leave a part of the tracing out.
    #[arg(long, value_name = "PART", hide = true)]
    without: Option<Part>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the nodes.
    Ls,
    /// Opens a session.
    Ssh {
        /// Where, and as whom.
        #[arg(value_name = "LOGIN@NODE")]
        destination: Destination,
        /// What to execute there.
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
}

/// The auth server takes spans by two names for the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum ForwardBy {
    /// OTLP's `TraceService/Export`, as Teleport does.
    #[default]
    Otlp,
    /// `AuthService/ExportSpan`, as its RFD has it.
    ExportSpan,
}

#[derive(Clone, Debug)]
struct Destination {
    login: String,
    node: String,
}

/// What the commands work with.
struct Tsh<'a> {
    arguments: &'a Arguments,
    session: &'a TraceSession,
    credentials: Credentials,
}

/// Runs the tool: `arguments` begins with the name of the program.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = Arguments::parse_from(arguments);
    let name = match arguments.command {
        Command::Ls => "ls",
        Command::Ssh { .. } => "ssh",
    };
    let session = arguments.trace.start("tsh", name);
    let result = session.try_run(execute(&arguments, &session)).await;
    // The spans leave here, in a second at most; how the command ends is not up to them.
    session.finish().await;
    result.unwrap_or_else(|error| {
        eprintln!("ERROR: {error}");
        ExitCode::FAILURE
    })
}

async fn execute(arguments: &Arguments, session: &TraceSession) -> Result<ExitCode, BoxError> {
    let tsh = Tsh {
        arguments,
        session,
        credentials: Credentials::read(&arguments.home, &arguments.user)?,
    };
    let auth = tsh.connect().await?;
    match &arguments.command {
        Command::Ls => tsh.list(auth).await,
        Command::Ssh {
            destination,
            command,
        } => tsh.ssh(auth, destination.clone(), command.clone()).await,
    }
}

// === impl Tsh ===

impl Tsh<'_> {
    /// Asks the proxy where the auth server is, and connects to that with the user's certificate.
    async fn connect(&self) -> Result<Carrier, BoxError> {
        let Ping { auth, .. } = self.ping().await?;
        let channel = Endpoint::from_shared(format!("https://{auth}"))?
            .tls_config(self.credentials.grpc_client(SERVER_NAME))?
            .connect()
            .await?;
        // From here on there is a way for the spans: the bare channel, since its calls are not to be traced.
        if self.arguments.without != Some(Part::Forwarding) {
            self.forward(channel.clone());
        }
        let layer = Part::ClientLayer.unless(self.arguments.without, || {
            let layer = self.session.tracing().grpc_client();
            layer.with_server(auth.ip().to_string(), auth.port())
        });
        Ok(carrier(channel, layer))
    }

    fn forward(&self, channel: Channel) {
        match self.arguments.forward_by {
            ForwardBy::Otlp => self.session.forward_through(channel),
            ForwardBy::ExportSpan => {
                let method = PathAndQuery::from_static(EXPORT_SPAN);
                let transport = Grpc::with_client(channel, Uri::from_static("/"));
                self.session.forward_with(transport.with_method(method));
            }
        }
    }

    async fn ping(&self) -> Result<Ping, BoxError> {
        let http = HttpClient::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let layer = Part::ClientLayer.unless(self.arguments.without, || {
            self.session.tracing().http_client()
        });
        let http = match layer {
            Some(layer) => {
                let http = layer.layer(http);
                BoxCloneSyncService::new(http.map_response(boxed).map_err(BoxError::from))
            }
            None => BoxCloneSyncService::new(http.map_response(boxed).map_err(BoxError::from)),
        };
        let proxy = self.arguments.proxy.to_string();
        let url = format!("{}/webapi/ping", proxy.trim_end_matches('/'));
        let response = http.oneshot(Request::get(url).body(Empty::new())?).await?;
        if !response.status().is_success() {
            return Err(format!("the proxy answers {}", response.status()).into());
        }
        let body = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    async fn list(&self, auth: Carrier) -> Result<ExitCode, BoxError> {
        let Nodes { nodes } = call(auth, LIST_NODES, proto::Empty::default())
            .await
            .map_err(told)?;
        println!("{:<10} {:<20} Labels", "Node Name", "Cluster");
        for Node { name, labels, .. } in nodes {
            println!("{name:<10} {:<20} {labels}", "example");
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn ssh(
        &self,
        auth: Carrier,
        Destination { login, node }: Destination,
        command: Vec<String>,
    ) -> Result<ExitCode, BoxError> {
        let node: Node = call(auth, GET_NODE, NodeName { name: node })
            .await
            .map_err(told)?;
        let opening = Opening {
            address: node.address.parse()?,
            server_name: node.name,
            credentials: &self.credentials,
            sends_context: self.arguments.without != Some(Part::Envelope),
        };
        let mut client = Client::dial(opening, self.session.tracing()).await?;
        let details = client.details().await?;
        let (stdout, status) = client.run(login, command).await?;
        let mut out = io::stdout().lock();
        writeln!(out, "connected to {details}")?;
        out.write_all(&stdout)?;
        out.flush()?;
        // The command's own, as ssh does.
        Ok(ExitCode::from(status))
    }
}

// === impl Destination ===

impl FromStr for Destination {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (login, node) = text.split_once('@').ok_or("expected LOGIN@NODE")?;
        Ok(Self {
            login: login.to_owned(),
            node: node.to_owned(),
        })
    }
}

type BoxBody = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

fn boxed<B>(response: Response<B>) -> Response<BoxBody>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

/// What a server says is wrong, without the rest of the status.
fn told(status: tonic::Status) -> BoxError {
    status.message().into()
}
