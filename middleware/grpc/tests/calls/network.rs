//! Servers on loopback whose connections can be cut, and channels to them.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, stream};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tower::{BoxError, Layer, Service};

/// A tonic server that runs until it is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<std::net::TcpStream>>>,
    task: JoinHandle<()>,
}

/// A client that enforces no deadline.
pub type HyperClient<B = Body> = Client<HttpConnector, B>;

impl Running {
    /// Serves these routes behind this layer.
    pub async fn start<L, B>(server: Server, layer: L, routes: Routes) -> Self
    where
        L: Layer<Routes> + Clone + Send + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError> + Send,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<_>>>::default();
        let incoming = incoming(listener, Arc::clone(&connections));
        let mut server = server.layer(layer);
        let router = server.add_routes(routes);
        let task = tokio::spawn(async move {
            router.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            connections,
            task,
        }
    }

    pub fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub fn endpoint(&self) -> Endpoint {
        Channel::builder(self.uri())
    }

    /// Cuts every connection, as if the machine were gone.
    pub fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.shutdown(Shutdown::Both).unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves HTTP/1 and HTTP/2 with any service, as long as the test runs.
pub async fn serve<S, B>(service: S) -> Uri
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (connection, _peer) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            let builder = auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                let connection = TokioIo::new(connection);
                // A caller that goes away is part of some tests.
                drop(builder.serve_connection(connection, service).await);
            });
        }
    });
    format!("http://{address}").parse().unwrap()
}

/// Accepts, and keeps a handle on each connection.
fn incoming(
    listener: TcpListener,
    connections: Arc<Mutex<Vec<std::net::TcpStream>>>,
) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::unfold((listener, connections), |(listener, connections)| async {
        let accepted = async {
            let (connection, _peer) = listener.accept().await?;
            let connection = connection.into_std()?;
            connections.lock().unwrap().push(connection.try_clone()?);
            TcpStream::from_std(connection)
        };
        Some((accepted.await, (listener, connections)))
    })
}

pub fn hyper_client<B>() -> HyperClient<B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(HttpConnector::new())
}

/// Waits for what is about to happen on another task.
///
/// # Panics
///
/// If it does not happen.
pub async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let waiting = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{what} does not happen");
}
