use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Buf;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use towline_http::server::PeerAddr;

use crate::tasks::Tasks;

/// A service behind a socket, on whichever version of HTTP its callers speak.
///
/// It accepts until it is dropped; connections that are open then go on.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tasks: Tasks,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Serves on `127.0.0.1`, at a port of the system's choice.
    pub async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body<Data: Send + Buf, Error: Into<Box<dyn Error + Send + Sync>>>
            + Send
            + 'static,
    {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), service).await
    }

    /// Serves on this address, at a port of the system's choice.
    pub async fn start_on<S, B>(ip: IpAddr, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body<Data: Send + Buf, Error: Into<Box<dyn Error + Send + Sync>>>
            + Send
            + 'static,
    {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        let connections = tasks.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = service.clone().map_request(move |mut request: Request<_>| {
                    request.extensions_mut().insert(PeerAddr(peer));
                    request
                });
                let mut builder = auto::Builder::new(connections.clone());
                builder.http2().enable_connect_protocol();
                connections.spawn(async move {
                    let service = TowerToHyperService::new(service);
                    // A peer that goes away, or a service that fails, is what some tests are about.
                    let _ = builder
                        .serve_connection_with_upgrades(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            tasks,
            accepting,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A target on it.
    #[must_use]
    pub fn uri(&self, path_and_query: &str) -> Uri {
        let uri = format!("http://{}{path_and_query}", self.address);
        uri.parse().unwrap()
    }

    /// Waits until every connection is closed and nothing is left that was done for it.
    pub async fn idle(&self) {
        self.tasks.over().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
