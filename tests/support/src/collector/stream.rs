//! The bytes of a connection, whatever they travel through.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::server::TlsStream;

/// A socket that was accepted.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A socket, and TLS on it if there is.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// A stream for hyper that is still there when hyper is done away with.
#[derive(Clone, Debug)]
pub(super) struct SharedStream {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    stream: Stream,
    is_full: bool,
}

// === impl Socket ===

impl Socket {
    /// Makes the next drop a reset, where the socket knows that.
    pub(super) fn reset_on_drop(&self) {
        match self {
            Self::Tcp(tcp) => {
                // Fails when the connection is gone already.
                let _ = tcp.set_zero_linger();
            }
            #[cfg(unix)]
            Self::Unix(_) => {}
        }
    }
}

macro_rules! delegate {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp($inner) => $call,
            #[cfg(unix)]
            Socket::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

// === impl SharedStream ===

impl SharedStream {
    pub(super) fn new(stream: Stream) -> Self {
        let is_full = false;
        Self {
            inner: Arc::new(Mutex::new(Inner { stream, is_full })),
        }
    }

    /// Whether the last write had to wait.
    pub(super) fn is_full(&self) -> bool {
        self.inner().is_full
    }

    /// Makes the drop of the last clone a reset.
    pub(super) fn reset(&self) {
        match &self.inner().stream {
            Stream::Plain(socket) => socket.reset_on_drop(),
            Stream::Tls(tls) => tls.get_ref().0.reset_on_drop(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<R>(&self, write: impl FnOnce(&mut (dyn AsyncWrite + Unpin)) -> Poll<R>) -> Poll<R> {
        let mut inner = self.inner();
        let written = match &mut inner.stream {
            Stream::Plain(socket) => write(socket),
            Stream::Tls(tls) => write(&mut **tls),
        };
        inner.is_full = written.is_pending();
        written
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.inner().stream {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(|stream| Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|stream| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|stream| Pin::new(stream).poll_shutdown(cx))
    }
}
