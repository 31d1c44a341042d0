use std::future::Future;
use std::io;
use std::sync::Arc;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::BoxError;
use towline::Spans;
use towline_propagation::envelope::Envelope;

use super::{
    CLUSTER_DETAILS, Connection, EXEC, EXIT_STATUS, Exec, FAILURE, OLD_VERSION, OPEN_SESSION,
    STDOUT, SUCCESS, VERSION,
};
use crate::server::StopSignal;
use crate::teleport::user::User;

/// What sessions are about.
pub(crate) trait Host: Clone + Send + Sync + 'static {
    /// What it says of itself.
    fn details(&self) -> String;

    /// What a command comes to, or why it may not be.
    fn execute(
        &self,
        user: User,
        login: String,
        command: Vec<String>,
    ) -> impl Future<Output = Result<Executed, String>> + Send;
}

/// What a command has come to.
pub(crate) struct Executed {
    pub(crate) stdout: String,
    pub(crate) status: u8,
}

/// Takes sessions.
#[derive(Clone)]
pub(crate) struct Sessions<H> {
    pub(crate) host: H,
    pub(crate) tls: TlsAcceptor,
    /// Reads the context that is sent; none on a node that is too old to know envelopes.
    pub(crate) envelope: Option<Envelope>,
    pub(crate) spans: Option<Spans<SdkTracer>>,
}

/// What a request is answered, and what follows.
type Answer = Result<Followed, String>;

struct Followed {
    payload: String,
    executed: Option<Executed>,
}

// === impl Sessions ===

impl<H: Host> Sessions<H> {
    /// Takes connections until it is stopped, then lets those that are open finish.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        mut stopped: StopSignal,
    ) -> io::Result<()> {
        let this = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let (stream, _peer) = tokio::select! {
                accepted = listener.accept() => accepted?,
                // Whoever has gone makes room.
                Some(_) = connections.join_next() => continue,
                () = &mut stopped => break,
            };
            let this = Arc::clone(&this);
            connections.spawn(async move {
                // Whoever breaks off, or makes no sense, is let go.
                let _ = this.connection(stream).await;
            });
        }
        connections.join_all().await;
        Ok(())
    }

    async fn connection(&self, stream: TcpStream) -> Result<(), BoxError> {
        stream.set_nodelay(true)?;
        let stream = self.tls.accept(stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|certificates| certificates.first());
        let user = User::from_der(certificate.ok_or("there is no certificate")?)?;
        let version = match self.envelope {
            Some(_) => VERSION,
            None => OLD_VERSION,
        };
        let (mut connection, _version) = Connection::open(stream, version).await?;
        while let Some(request) = connection.receive().await? {
            let answer = self.request(&request.name, &request.payload, &user).await;
            match answer {
                Ok(Followed { payload, executed }) => {
                    connection.send(SUCCESS, payload.as_bytes()).await?;
                    if let Some(Executed { stdout, status }) = executed {
                        connection.send(STDOUT, stdout.as_bytes()).await?;
                        connection.send(EXIT_STATUS, &[status]).await?;
                    }
                }
                Err(why) => connection.send(FAILURE, why.as_bytes()).await?,
            }
        }
        Ok(())
    }

    /// Answers a request, under the span that the client has sent it in.
    async fn request(&self, name: &str, message: &[u8], user: &User) -> Answer {
        let opened = self
            .envelope
            .as_ref()
            .map(|envelope| envelope.open(message, &Context::current()));
        let (payload, context) = match opened {
            Some(opened) => (opened.payload, opened.extraction.into_context()),
            None => (message.into(), Context::current()),
        };
        let work = self.answer(name, &payload, user.clone());
        let (Some(spans), Some(span)) = (&self.spans, span_name(name)) else {
            return work.await;
        };
        let work = {
            // For the moment in which the span starts; from then on it keeps its own.
            let _remote = context.attach();
            spans
                .span(span)
                .with_kind(SpanKind::Server)
                .with_attribute(KeyValue::new("rpc.system.name", "ssh"))
                .try_run(work)
        };
        work.await
    }

    async fn answer(&self, name: &str, payload: &[u8], user: User) -> Answer {
        let (payload, executed) = match name {
            CLUSTER_DETAILS => (self.host.details(), None),
            OPEN_SESSION => (String::new(), None),
            EXEC => {
                let exec: Exec = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
                let executed = self.host.execute(user, exec.login, exec.command).await?;
                (String::new(), Some(executed))
            }
            _ => return Err("there is no such request".to_owned()),
        };
        Ok(Followed { payload, executed })
    }
}

/// What a request's span is called. None for what nobody here knows: its name is the client's to choose, and for the
/// opening of a channel, which Teleport has no span for either.
fn span_name(request: &str) -> Option<&'static str> {
    match request {
        CLUSTER_DETAILS => Some("ssh.GlobalRequest/cluster-details"),
        EXEC => Some("ssh.Regular.SessionRequest/exec"),
        _ => None,
    }
}
