use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::failure::Observer;
use super::secured::Secured;
use super::{Tls, config};
use crate::Endpoint;
use crate::transport::client::Protocol;
use crate::transport::{TransportError, TransportErrorKind};

/// Makes TLS connections to one server.
#[derive(Clone)]
pub(in crate::transport) struct Dialer {
    connector: TlsConnector,
    server: ServerName<'static>,
    observer: Observer,
}

// === impl Dialer ===

impl Dialer {
    /// For the host of an endpoint.
    pub(in crate::transport) fn new(
        endpoint: &Endpoint,
        tls: &Tls,
        protocol: Protocol,
    ) -> Result<Self, TransportError> {
        let alpn: &[u8] = match protocol {
            #[cfg(feature = "grpc")]
            Protocol::Http2 => b"h2",
            #[cfg(feature = "http")]
            Protocol::Http1 => b"http/1.1",
        };
        let (config, asked) = config::load(tls, alpn, SystemTime::now())?;
        let server = server_name(endpoint).ok_or_else(|| {
            TransportError::new(
                TransportErrorKind::Tls,
                format!("{endpoint} has a host that no certificate is for: expected a DNS name or an IP address"),
            )
        })?;
        let observer = Observer {
            has_own_roots: !tls.ca_certs.is_empty(),
            has_identity: !tls.key_pairs.is_empty(),
            asked,
        };
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server,
            observer,
        })
    }

    /// The handshake.
    pub(in crate::transport) async fn dial(
        self,
        tcp: TcpStream,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        let inner = self
            .connector
            .connect(self.server, tcp)
            .await
            .map_err(|error| self.observer.in_handshake(error))?;
        Ok(Secured::new(inner, self.observer))
    }
}

fn server_name(endpoint: &Endpoint) -> Option<ServerName<'static>> {
    match endpoint.host()? {
        url::Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::V4(*address))),
        url::Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::V6(*address))),
        url::Host::Domain(domain) => {
            // The dot of the root stands in no certificate.
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            ServerName::try_from(domain.to_owned()).ok()
        }
    }
}
