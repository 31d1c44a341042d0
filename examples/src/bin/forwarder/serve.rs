//! Connections: accepted, bounded in number and time, and let finish when the forwarder stops.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use futures_util::future::OptionFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use towline_http::server::PeerAddr;

use crate::interrupts::Interrupts;
use crate::linger::Linger;
use crate::prepare::Prepared;
use crate::senders::{ConnectedAs, Senders};

/// A forwarder that listens.
#[derive(Debug)]
pub(crate) struct Server {
    doors: Vec<Door>,
    connections: Arc<Semaphore>,
    /// Closed when no task is left.
    tasks: mpsc::Receiver<Infallible>,
}

/// One address.
#[derive(Debug)]
struct Door {
    url: String,
    listener: TcpListener,
    entrance: Entrance,
}

/// What every connection of an address has in common.
#[derive(Clone)]
struct Entrance {
    app: Router,
    tls: Option<TlsAcceptor>,
    senders: Senders,
    head_timeout: Duration,
    tasks: Tasks,
}

/// Runs what connections spawn, which are HTTP/2's requests, and tells when all of it has ended.
#[derive(Clone, Debug)]
struct Tasks {
    /// Every task has one.
    alive: mpsc::Sender<Infallible>,
}

/// How it has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped {
    /// Whether every request had its answer.
    pub(crate) finished: bool,
    /// How much of the time for it is left.
    pub(crate) left: Duration,
}

/// An address at which nobody can listen.
#[derive(Debug)]
pub(crate) struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

// === impl Server ===

impl Server {
    /// Listens, and serves nothing yet.
    pub(crate) async fn bind(prepared: &Prepared) -> Result<Self, BindError> {
        let Prepared {
            settings,
            tls,
            senders,
            forwarder,
            tracing,
            ..
        } = prepared;
        let (grpc_scheme, http_scheme) = prepared.schemes();
        let (alive, tasks) = mpsc::channel(1);
        let entrance = |app, tls| Entrance {
            app,
            tls,
            senders: senders.clone(),
            head_timeout: settings.limits.head_timeout,
            tasks: Tasks {
                alive: alive.clone(),
            },
        };
        let mut doors = vec![];
        if let Some(address) = settings.grpc {
            // It says itself which methods it does not know.
            let app = Router::new()
                .fallback_service(forwarder.grpc())
                .layer(tracing.grpc_server());
            let tls = tls.as_ref().map(|tls| tls.grpc.clone());
            let entrance = entrance(app, tls);
            doors.push(Door::open("grpc_listen_addr", grpc_scheme, address, entrance).await?);
        }
        if let Some(address) = settings.http {
            let app = Router::new()
                .route_service("/v1/traces", forwarder.http())
                .layer(tracing.http_server());
            let tls = tls.as_ref().map(|tls| tls.http.clone());
            let entrance = entrance(app, tls);
            doors.push(Door::open("http_listen_addr", http_scheme, address, entrance).await?);
        }
        let limit = settings.limits.max_connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            doors,
            connections: Arc::new(Semaphore::new(limit)),
            tasks,
        })
    }

    /// Where it listens, as URLs with the real ports.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.doors.iter().map(|door| door.url.as_str())
    }

    /// Serves until it is asked to stop. Then nobody gets in, and those who are may finish their requests, until
    /// `stop_timeout` is over or it is asked a second time.
    pub(crate) async fn run(self, interrupts: &mut Interrupts, stop_timeout: Duration) -> Stopped {
        let Self {
            doors,
            connections,
            mut tasks,
        } = self;
        let open = GracefulShutdown::new();
        let (stopping, stopped) = watch::channel(());
        let mut doors = doors.into_iter();
        let mut serve = || {
            let door = doors.next()?;
            Some(door.serve(&open, &connections, stopped.clone()))
        };
        let (first, second) = (serve(), serve());
        let stop = async {
            interrupts.next().await;
            tracing::info!("stopping");
            drop(stopping);
            Instant::now() + stop_timeout
        };
        let (first, second, deadline) =
            tokio::join!(OptionFuture::from(first), OptionFuture::from(second), stop);
        let finished = tokio::select! {
            () = open.shutdown() => true,
            () = sleep_until(deadline) => false,
            () = interrupts.next() => false,
        };
        // Those that are left are cut off, and counted as such before anybody looks.
        drop((first, second));
        let _ = timeout(CUT_OFF_TIMEOUT, tasks.recv()).await;
        Stopped {
            finished,
            left: deadline.saturating_duration_since(Instant::now()),
        }
    }
}

// === impl Door ===

impl Door {
    async fn open(
        key: &'static str,
        scheme: &str,
        address: SocketAddr,
        entrance: Entrance,
    ) -> Result<Self, BindError> {
        let listen = async {
            let listener = TcpListener::bind(address).await?;
            let url = format!("{scheme}://{}", listener.local_addr()?);
            Ok((listener, url))
        };
        let (listener, url) = listen.await.map_err(|source| BindError {
            key,
            address,
            source,
        })?;
        Ok(Self {
            url,
            listener,
            entrance,
        })
    }

    /// Accepts connections until it is told to stop; the tasks of those that are still open then.
    async fn serve(
        self,
        open: &GracefulShutdown,
        connections: &Arc<Semaphore>,
        mut stopped: watch::Receiver<()>,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // Whether it says something or is gone.
                _ = stopped.changed() => return tasks,
                // So that those that have ended are not kept.
                Some(_) = tasks.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // It waits here, and those behind it with the system. A place that is held while nobody comes would
                    // be missing at the other address.
                    let permit = tokio::select! {
                        permit = Arc::clone(connections).acquire_owned() => permit,
                        _ = stopped.changed() => return tasks,
                    };
                    let connection = self.entrance.clone().serve(stream, peer, open.watcher());
                    tasks.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                // Out of file descriptors, mostly: others have to close some first.
                Err(error) if !is_of_peer(&error) => {
                    tracing::warn!("{}: cannot accept connections: {error}", self.url);
                    sleep(ACCEPT_PAUSE).await;
                }
                Err(_) => {}
            }
        }
    }
}

// === impl Entrance ===

impl Entrance {
    /// One connection, to its end.
    async fn serve(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Whether there has been a request.
        let begun = Arc::new(AtomicBool::new(false));
        let head_timeout = self.head_timeout;
        let connection = self.connection(stream, peer, watcher, Arc::clone(&begun));
        let mut connection = std::pin::pin!(connection);
        // Whoever does not come to the point, in TCP, TLS or HTTP, does not stay.
        if timeout(head_timeout, connection.as_mut()).await.is_err()
            && begun.load(Ordering::Relaxed)
        {
            connection.await;
        }
    }

    async fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        watcher: Watcher,
        begun: Arc<AtomicBool>,
    ) {
        // Answers are a few bytes that should not wait for company.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => {
                let connected = self.senders.connected(None);
                self.http(stream, peer, connected, watcher, begun).await;
            }
            Some(tls) => {
                // Whoever fails here is not known well enough to be told about.
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let (_, session) = stream.get_ref();
                let certificate = session.peer_certificates().and_then(|chain| chain.first());
                let connected = self.senders.connected(certificate.map(AsRef::as_ref));
                self.http(stream, peer, connected, watcher, begun).await;
            }
        }
    }

    async fn http<T>(
        self,
        stream: T,
        peer: SocketAddr,
        connected: Option<ConnectedAs>,
        watcher: Watcher,
        begun: Arc<AtomicBool>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = Linger::new(self.app).map_request(move |mut request: Request<Incoming>| {
            begun.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(PeerAddr(peer));
            if let Some(connected) = &connected {
                request.extensions_mut().insert(connected.clone());
            }
            request
        });
        let mut builder = auto::Builder::new(self.tasks);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let connection = builder
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        // A sender that goes away is its own affair.
        let _ = watcher.watch(connection).await;
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance")
            .field("tls", &self.tls.is_some())
            .field("senders", &self.senders)
            .finish_non_exhaustive()
    }
}

// === impl Tasks ===

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let alive = self.alive.clone();
        tokio::spawn(async move {
            task.await;
            drop(alive);
        });
    }
}

// === impl BindError ===

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, address, .. } = self;
        write!(
            f,
            "`{key}` is {address}, where nobody can listen: expected an address that is free"
        )
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether the one connection failed, and not the listener.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// How long a task may take to notice that it is cut off.
const CUT_OFF_TIMEOUT: Duration = Duration::from_secs(1);

const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// HTTP/2 has no end of silence of its own: who does not answer is gone.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
