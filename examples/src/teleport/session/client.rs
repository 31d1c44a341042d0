use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::BoxError;
use towline::span::SpanCall;
use towline::{Spans, Towline};
use towline_propagation::envelope::Envelope;

use super::{
    CLUSTER_DETAILS, Connection, EXEC, EXIT_STATUS, Exec, FAILURE, OPEN_SESSION, STDOUT, SUCCESS,
    VERSION,
};
use crate::teleport::certificates::Credentials;

/// A connection to a node.
pub(crate) struct Client {
    connection: Connection<TlsStream<TcpStream>>,
    /// If the node knows envelopes.
    envelope: Option<Envelope>,
    spans: Spans<SdkTracer>,
}

/// Where a session goes, and as whom.
pub(crate) struct Opening<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) server_name: String,
    pub(crate) credentials: &'a Credentials,
    /// Whether the context is sent at all.
    pub(crate) sends_context: bool,
}

// === impl Client ===

impl Client {
    /// Connects, and finds out whether the node knows envelopes.
    pub(crate) async fn dial(opening: Opening<'_>, tracing: &Towline) -> Result<Self, BoxError> {
        let spans = tracing.spans("session");
        let dial = client_span(&spans, "ssh/Dial").try_run(async {
            let tls = opening.credentials.connector()?;
            let tcp = TcpStream::connect(opening.address).await?;
            tcp.set_nodelay(true)?;
            client_span(&spans, "ssh/NewClientConn")
                .try_run(async {
                    let name = ServerName::try_from(opening.server_name)?;
                    let stream = tls.connect(name, tcp).await?;
                    Ok::<_, BoxError>(Connection::open(stream, VERSION).await?)
                })
                .await
        });
        let (connection, version) = dial.await?;
        let knows_envelopes = version.starts_with("SSH-2.0-Teleport");
        let envelope = (opening.sends_context && knows_envelopes)
            .then(|| Envelope::new().with_propagator(tracing.propagator()));
        Ok(Self {
            connection,
            envelope,
            spans,
        })
    }

    /// What the node says of itself.
    pub(crate) async fn details(&mut self) -> Result<String, BoxError> {
        let details = self
            .request("ssh.GlobalRequest/cluster-details", CLUSTER_DETAILS, b"")
            .await?;
        Ok(String::from_utf8(details.into())?)
    }

    /// Opens a session and has a command executed: what it has written, and its exit status.
    pub(crate) async fn run(
        mut self,
        login: String,
        command: Vec<String>,
    ) -> Result<(Bytes, u8), BoxError> {
        let exec = serde_json::to_vec(&Exec { login, command })?;
        // Its own handle, since the session has the rest.
        let spans = self.spans.clone();
        let session = client_span(&spans, "ssh.NewSession").try_run(async {
            self.request("ssh.OpenChannel/session", OPEN_SESSION, b"")
                .await
        });
        session.await?;
        self.request("ssh.SessionRequest/exec", EXEC, &exec).await?;
        let mut stdout = Bytes::new();
        loop {
            let message = self.connection.expect().await?;
            match (message.name.as_str(), message.payload.first()) {
                (STDOUT, _) => stdout = message.payload,
                (EXIT_STATUS, Some(status)) => return Ok((stdout, *status)),
                _ => return Err(unexpected(&message.name)),
            }
        }
    }

    /// A request and its answer, in a span whose context goes with it.
    async fn request(
        &mut self,
        span: &'static str,
        name: &str,
        payload: &[u8],
    ) -> Result<Bytes, BoxError> {
        let spans = self.spans.clone();
        client_span(&spans, span)
            .try_run(async {
                match &self.envelope {
                    Some(envelope) => {
                        let sealed = envelope.seal(&Context::current(), payload);
                        self.connection.send(name, &sealed).await?;
                    }
                    None => self.connection.send(name, payload).await?,
                }
                let answer = self.connection.expect().await?;
                match answer.name.as_str() {
                    SUCCESS => Ok(answer.payload),
                    FAILURE => Err(String::from_utf8_lossy(&answer.payload).into()),
                    other => Err(unexpected(other)),
                }
            })
            .await
    }
}

fn client_span<'a>(spans: &'a Spans<SdkTracer>, name: &'static str) -> SpanCall<'a, SdkTracer> {
    spans
        .span(name)
        .with_kind(SpanKind::Client)
        .with_attribute(KeyValue::new("rpc.system.name", "ssh"))
}

fn unexpected(name: &str) -> BoxError {
    let name = name.escape_debug();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the node answers {name}"),
    )
    .into()
}
