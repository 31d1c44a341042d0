//! What stands in front of a collector: TLS, or a unix socket.

use std::net::SocketAddr;
use std::sync::{Arc, Once};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion, version::TLS12, version::TLS13,
};

use super::certificates::{Authority, Identity};
use super::collector::{Received, Server};

/// What a TLS server can be told.
pub struct Tls {
    identity: Identity,
    clients: Option<String>,
    version: &'static SupportedProtocolVersion,
    provider: CryptoProvider,
    hangs_up: bool,
}

/// What a TLS server has seen of a client.
#[derive(Clone, Debug)]
pub struct Seen {
    pub server_name: Option<String>,
    pub protocol: Option<Vec<u8>>,
    pub certificate: Option<CertificateDer<'static>>,
}

/// TLS in front of a plaintext collector.
pub struct TlsFront {
    server: Server,
    seen: Received<Seen>,
}

// === impl Tls ===

impl Tls {
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            clients: None,
            version: &TLS13,
            provider: ring::default_provider(),
            hangs_up: false,
        }
    }

    /// Demands a certificate of that authority.
    pub fn clients_of(mut self, authority: &Authority) -> Self {
        self.clients = Some(authority.pem());
        self
    }

    pub fn tls12(mut self) -> Self {
        self.version = &TLS12;
        self
    }

    /// Clients sign by ECDSA, or are strangers.
    pub fn ecdsa_only(mut self) -> Self {
        let mut algorithms = self.provider.signature_verification_algorithms;
        // The lists are static: leaked once per test.
        let mapping = algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| format!("{scheme:?}").starts_with("ECDSA"))
            .copied()
            .collect::<Vec<_>>();
        algorithms.mapping = Box::leak(mapping.into_boxed_slice());
        self.provider.signature_verification_algorithms = algorithms;
        self
    }

    /// Closes at once what it does not like, so that the connection is reset.
    pub fn hanging_up(mut self) -> Self {
        self.hangs_up = true;
        self
    }

    fn config(self) -> ServerConfig {
        let provider = Arc::new(self.provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(&pem)).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).unwrap();
        let mut config = builder
            .with_single_cert(vec![certificate(&self.identity.cert)], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// The first certificate in PEM.
pub fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

// === impl TlsFront ===

impl TlsFront {
    pub fn start(collector: SocketAddr, tls: Tls) -> Self {
        spoil_default_provider();
        let hangs_up = tls.hangs_up;
        let acceptor = TlsAcceptor::from(Arc::new(tls.config()));
        let seen: Received<Seen> = Received::default();
        let record = Arc::clone(&seen);
        let server = Server::start_connections(move |stream| {
            let (acceptor, record) = (acceptor.clone(), Arc::clone(&record));
            async move {
                let stream = match acceptor.accept(stream).into_fallible().await {
                    Ok(stream) => stream,
                    Err((_, mut stream)) => {
                        // What was said about it is left to be read.
                        while !hangs_up
                            && stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0)
                        {
                        }
                        return;
                    }
                };
                let (_, connection) = stream.get_ref();
                record.lock().unwrap().push(Seen {
                    server_name: connection.server_name().map(str::to_owned),
                    protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
                    certificate: connection
                        .peer_certificates()
                        .and_then(|chain| chain.first())
                        .map(|leaf| leaf.clone().into_owned()),
                });
                forward(stream, collector).await;
            }
        });
        Self { server, seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// One entry for each handshake that went well.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Passes bytes on, both ways.
pub async fn forward(mut stream: impl AsyncRead + AsyncWrite + Unpin, collector: SocketAddr) {
    if let Ok(mut upstream) = TcpStream::connect(collector).await {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
    }
}

/// Makes the provider that the process has by default one that nobody can use: whoever asks for it
/// fails.
fn spoil_default_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut provider = ring::default_provider();
        provider.cipher_suites.clear();
        provider.kx_groups.clear();
        provider.install_default().unwrap();
    });
}
