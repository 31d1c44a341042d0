//! A server in a task, which can be asked to stop.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::BoxError;

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

/// Ready when the server is asked to stop.
pub type StopSignal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Listens on a port of loopback that the system picks.
///
/// # Errors
///
/// When there is no port.
pub async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}

// === impl Server ===

impl Server {
    /// Runs what `serve` makes in a task of its own.
    ///
    /// # Errors
    ///
    /// When the listener does not know its address.
    pub fn start<F>(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener, StopSignal) -> F,
    ) -> io::Result<Self>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let stopped: StopSignal = Box::pin(async move {
            // A sender that is gone says stop, too.
            let _ = stopped.await;
        });
        Ok(Self {
            address,
            stop,
            task: tokio::spawn(serve(listener, stopped)),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    ///
    /// When it had failed, or does not stop within 10 seconds.
    pub async fn stop(self) -> Result<(), BoxError> {
        // The server may have stopped of itself; its task tells why.
        let _ = self.stop.send(());
        Ok(tokio::time::timeout(Duration::from_secs(10), self.task).await???)
    }
}
