//! Connections: TCP, TLS over TCP, unix sockets.

mod stream;
mod trouble;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

pub(super) use self::stream::Stream;
#[cfg(feature = "tls")]
pub(super) use self::trouble::Cause;
pub(super) use self::trouble::Trouble;
#[cfg(feature = "tls")]
use super::tls::Dialer;
use super::{TransportError, TransportErrorKind, client::BoxError};
use crate::Endpoint;

/// Opens connections, each within its time.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    way: Way,
    tcp: HttpConnector,
    timeout: Duration,
    trouble: Trouble,
}

/// How a peer is reached.
#[derive(Clone)]
pub(super) enum Way {
    Tcp,
    #[cfg(feature = "tls")]
    Tls(Dialer),
    /// Any other address than that of the URI; an abstract name stands behind a NUL.
    #[cfg(unix)]
    Unix(std::sync::Arc<std::path::Path>),
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(way: Way, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        // What stands in front of the host is our business.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        // Of several addresses one that swallows packets must not take the time of all.
        tcp.set_connect_timeout(Some(timeout));
        Self {
            way,
            tcp,
            timeout,
            trouble: Trouble::default(),
        }
    }

    /// What its connections last broke of.
    pub(super) const fn trouble(&self) -> &Trouble {
        &self.trouble
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (trouble, timeout) = (self.trouble.clone(), self.timeout);
        let opened: Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>> = match &self.way
        {
            Way::Tcp => {
                let tcp = self.open_tcp(uri);
                let trouble = trouble.clone();
                Box::pin(async move { Ok(Stream::new(tcp.await?, trouble)) })
            }
            #[cfg(feature = "tls")]
            Way::Tls(dialer) => {
                let (dialer, trouble) = (dialer.clone(), trouble.clone());
                let tcp = self.open_tcp(uri);
                Box::pin(async move { Ok(Stream::new(dialer.dial(tcp.await?).await?, trouble)) })
            }
            #[cfg(unix)]
            Way::Unix(path) => {
                let (path, trouble) = (std::sync::Arc::clone(path), trouble.clone());
                Box::pin(async move {
                    let stream = tokio::net::UnixStream::connect(path).await?;
                    Ok(Stream::new(stream, trouble))
                })
            }
        };
        Box::pin(async move {
            match tokio::time::timeout(timeout, opened).await {
                Ok(Ok(stream)) => {
                    trouble.opened_another();
                    Ok(TokioIo::new(stream))
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {timeout:?}"),
                )
                .into()),
            }
        })
    }
}

impl Connector {
    fn open_tcp(
        &mut self,
        uri: Uri,
    ) -> impl Future<Output = Result<TcpStream, BoxError>> + Send + use<> {
        let stream = self.tcp.call(uri);
        async move { Ok(stream.await?.into_inner()) }
    }
}

// === impl Way ===

impl Way {
    pub(super) const fn tcp() -> Self {
        Self::Tcp
    }

    #[cfg(feature = "tls")]
    pub(super) const fn tls(dialer: Dialer) -> Self {
        Self::Tls(dialer)
    }

    /// To a socket of this machine; that it can be one is checked here.
    #[cfg(unix)]
    pub(super) fn unix(endpoint: &Endpoint) -> Result<Self, TransportError> {
        use std::os::unix::ffi::OsStringExt;
        use std::os::unix::net::SocketAddr;
        use std::path::PathBuf;

        let address = match (endpoint.socket_path(), endpoint.abstract_name()) {
            (Some(path), _) => SocketAddr::from_pathname(path).map(|_| path.to_owned()),
            (None, Some(name)) => {
                #[cfg(any(target_os = "linux", target_os = "android"))]
                let address = {
                    #[cfg(target_os = "android")]
                    use std::os::android::net::SocketAddrExt as _;
                    #[cfg(target_os = "linux")]
                    use std::os::linux::net::SocketAddrExt as _;
                    SocketAddr::from_abstract_name(name)
                };
                #[cfg(not(any(target_os = "linux", target_os = "android")))]
                let address: io::Result<SocketAddr> = {
                    let _ = name;
                    return Err(no_such_sockets(endpoint, "Linux"));
                };
                // Tokio knows it by the NUL.
                let path = [b"\0", name].concat();
                address.map(|_| PathBuf::from(std::ffi::OsString::from_vec(path)))
            }
            (None, None) => Err(io::ErrorKind::InvalidInput.into()),
        };
        match address {
            Ok(path) => Ok(Self::Unix(path.into())),
            Err(error) => Err(TransportError::new(
                TransportErrorKind::Io,
                format!("{endpoint} cannot be a socket"),
            )
            .with_source(error)),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn unix(endpoint: &Endpoint) -> Result<Self, TransportError> {
        Err(no_such_sockets(endpoint, "Unix"))
    }

    pub(super) const fn is_tls(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(_) => true,
            _ => false,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn no_such_sockets(endpoint: &Endpoint, system: &str) -> TransportError {
    TransportError::new(
        TransportErrorKind::Platform,
        format!("{endpoint} is a kind of socket that only {system} has"),
    )
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("Tcp"),
            #[cfg(feature = "tls")]
            Self::Tls(_) => f.write_str("Tls"),
            #[cfg(unix)]
            Self::Unix(path) => f.debug_tuple("Unix").field(path).finish(),
        }
    }
}

const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
