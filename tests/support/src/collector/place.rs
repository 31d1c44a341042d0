//! Where a collector listens, and holds its place while it does not.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use super::stream::Socket;

/// Where to listen.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(PathBuf),
}

/// A place to listen at.
#[derive(Debug)]
pub(super) enum Place {
    /// Bound, so that nobody else gets the port, and not listening, so that connections are
    /// refused.
    Reserved(TcpSocket),
    Listening(TcpListener),
    #[cfg(unix)]
    Left(PathBuf),
    #[cfg(unix)]
    ListeningUnix(UnixListener, PathBuf),
}

impl Place {
    /// Takes the place without listening; says where it is.
    pub(super) fn reserve(
        address: &Address,
        receive_window_bytes: Option<u32>,
    ) -> io::Result<(Self, Address)> {
        match address {
            Address::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4(),
                    SocketAddr::V6(_) => TcpSocket::new_v6(),
                }?;
                socket.set_reuseaddr(true)?;
                if let Some(bytes) = receive_window_bytes {
                    socket.set_recv_buffer_size(bytes)?;
                }
                socket.bind(*address)?;
                let address = Address::Tcp(socket.local_addr()?);
                Ok((Self::Reserved(socket), address))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok((Self::Left(path.clone()), address.clone())),
        }
    }

    /// Starts to listen.
    pub(super) fn listen(self) -> io::Result<Self> {
        match self {
            Self::Reserved(socket) => Ok(Self::Listening(socket.listen(BACKLOG)?)),
            #[cfg(unix)]
            Self::Left(path) => Ok(Self::ListeningUnix(UnixListener::bind(&path)?, path)),
            listening => Ok(listening),
        }
    }

    /// Stops listening and stays. The port is free for a moment in between, so it is tried again
    /// for a while when it is taken.
    pub(super) async fn leave(self, receive_window_bytes: Option<u32>) -> io::Result<Self> {
        match self {
            Self::Listening(listener) => {
                let address = Address::Tcp(listener.local_addr()?);
                drop(listener);
                let give_up = Instant::now() + REBIND_TIME;
                loop {
                    match Self::reserve(&address, receive_window_bytes) {
                        Ok((place, _)) => return Ok(place),
                        Err(error) if Instant::now() >= give_up => return Err(error),
                        Err(_) => tokio::time::sleep(REBIND_PAUSE).await,
                    }
                }
            }
            #[cfg(unix)]
            Self::ListeningUnix(listener, path) => {
                drop(listener);
                std::fs::remove_file(&path)?;
                Ok(Self::Left(path))
            }
            left => Ok(left),
        }
    }

    /// The next connection; never if it does not listen.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has accepted nothing.
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Listening(listener) => {
                let (tcp, _) = listener.accept().await?;
                tcp.set_nodelay(true)?;
                Ok(Socket::Tcp(tcp))
            }
            #[cfg(unix)]
            Self::ListeningUnix(listener, _) => Ok(Socket::Unix(listener.accept().await?.0)),
            _ => std::future::pending().await,
        }
    }
}

const BACKLOG: u32 = 1024;
const REBIND_TIME: Duration = Duration::from_secs(5);
const REBIND_PAUSE: Duration = Duration::from_millis(10);
