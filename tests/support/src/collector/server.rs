//! The thread of a collector, with a runtime of its own.

use std::io;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Peer};
use super::place::{Address, Place};
use super::stream::{Socket, Stream};
use super::{Greeting, Shared};
use crate::quiet;

/// A thread that serves until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: Address,
    runtime: Handle,
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told, with where to say that it is done.
#[derive(Debug)]
enum Command {
    Stop(Reply),
    Listen(Reply),
}

type Reply = std_mpsc::Sender<io::Result<()>>;

/// What goes on between a start and a stop.
struct Session {
    connections: JoinSet<()>,
    stop: watch::Sender<bool>,
}

// === impl Server ===

impl Server {
    pub(super) fn start(address: Address, shared: Arc<Shared>) -> io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let (tell, told) = std_mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || {
                let _silence = quiet::begin();
                let started = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .and_then(|runtime| {
                        let _guard = runtime.enter();
                        let bytes = shared.config.receive_window_bytes;
                        let (place, address) = Place::reserve(&address, bytes)?;
                        drop(_guard);
                        Ok((runtime, place, address))
                    });
                match started {
                    Err(error) => {
                        let _ = tell.send(Err(error));
                    }
                    Ok((runtime, place, address)) => {
                        let _ = tell.send(Ok((address, runtime.handle().clone())));
                        runtime.block_on(run(place, shared, received));
                    }
                }
            })?;
        let (address, runtime) = told.recv().map_err(io::Error::other)??;
        Ok(Self {
            address,
            runtime,
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// Its runtime, on real time.
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn stop(&self) -> io::Result<()> {
        self.ask(Command::Stop)
    }

    pub(super) fn listen(&self) -> io::Result<()> {
        self.ask(Command::Listen)
    }

    fn ask(&self, command: impl FnOnce(Reply) -> Command) -> io::Result<()> {
        let (reply, replied) = std_mpsc::channel();
        let commands = self.commands.as_ref();
        let sent = commands.is_some_and(|commands| commands.send(command(reply)).is_ok());
        match replied.recv() {
            Ok(done) if sent => done,
            _ => Err(io::Error::other("the thread of the collector is gone")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its runtime goes with it, and every task, however it hangs.
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        #[cfg(unix)]
        if let Address::Unix(path) = &self.address {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn run(
    mut place: Place,
    shared: Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut session = Session::new();
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            socket = place.accept() => {
                match socket {
                    Ok(socket) => session.accept(socket, &shared),
                    // Out of files, say. Not a loop that spins.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
                continue;
            }
        };
        let bytes = shared.config.receive_window_bytes;
        let (moved, reply) = match command {
            None => return,
            Some(Command::Stop(reply)) => {
                let moved = place.leave(bytes).await;
                std::mem::replace(&mut session, Session::new()).end().await;
                (moved, reply)
            }
            Some(Command::Listen(reply)) => (place.listen(), reply),
        };
        match moved {
            Ok(moved) => {
                place = moved;
                let _ = reply.send(Ok(()));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        }
    }
}

// === impl Session ===

impl Session {
    fn new() -> Self {
        Self {
            connections: JoinSet::new(),
            stop: watch::Sender::new(false),
        }
    }

    fn accept(&mut self, socket: Socket, shared: &Arc<Shared>) {
        while self.connections.try_join_next().is_some() {}
        let mut stop = self.stop.subscribe();
        let stopped = async move {
            // An error is the same: the session is over.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        self.connections
            .spawn(connect(socket, Arc::clone(shared), stopped));
    }

    /// Lets what was decided be answered, and ends the rest.
    async fn end(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_TIME, all).await;
        self.connections.shutdown().await;
    }
}

async fn connect(socket: Socket, shared: Arc<Shared>, stopped: impl Future<Output = ()>) {
    let (connection, _open) = shared.record.connect();
    let mut stopped = std::pin::pin!(stopped);
    match (shared.config.on_connect)(connection) {
        Greeting::Serve => {}
        Greeting::Hang => return stopped.await,
        Greeting::Reset => return socket.reset_on_drop(),
    }
    let Some(tls) = &shared.config.tls else {
        let certificate = None;
        let connection = Connection::new(Peer {
            connection,
            certificate,
        });
        let stream = Stream::Plain(socket);
        return connection.serve(stream, Arc::clone(&shared), stopped).await;
    };
    let acceptor = TlsAcceptor::from(Arc::clone(tls));
    let stream = tokio::select! {
        stream = acceptor.accept(socket) => stream,
        () = &mut stopped => return,
    };
    match stream {
        Err(error) => shared.record.failed_handshake(error.to_string()),
        Ok(stream) => {
            let shown = stream.get_ref().1.peer_certificates();
            let certificate = shown.and_then(|chain| Some(chain.first()?.to_vec().into()));
            let connection = Connection::new(Peer {
                connection,
                certificate,
            });
            let stream = Stream::Tls(Box::new(stream));
            connection.serve(stream, Arc::clone(&shared), stopped).await;
        }
    }
}

/// How long a client may take to read what was answered before the stop.
const STOP_TIME: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
