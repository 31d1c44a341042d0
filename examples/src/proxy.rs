//! A reverse proxy on hyper: one hop of every trace that passes.

use std::future::Future;
use std::io;
use std::pin::pin;

use axum::body::Body;
use http::header::{CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER};
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt};
use towline::{HttpClientLayer, HttpServerLayer};
use towline_http::server::PeerAddr;

/// A service whose layers can be chosen at run time.
pub type Hop<B> = BoxCloneSyncService<Request<B>, Response<Body>, io::Error>;

/// The proxy as a service: our server layer over our client layer over a hyper client.
///
/// Either layer can be left out, to see what it did.
pub fn service(
    upstream: Authority,
    server: Option<HttpServerLayer>,
    client: Option<HttpClientLayer>,
) -> Hop<Body> {
    let mut connector = HttpConnector::new();
    // The end of a streamed body is a few bytes that should not wait for company.
    connector.set_nodelay(true);
    let forward = Client::builder(TokioExecutor::new()).build(connector);
    through(forward, (Scheme::HTTP, upstream), server, client)
}

/// The same over any HTTP client, such as a channel that is authenticated, to an upstream of that scheme.
pub fn through<S, R>(
    forward: S,
    (scheme, upstream): (Scheme, Authority),
    server: Option<HttpServerLayer>,
    client: Option<HttpClientLayer>,
) -> Hop<Body>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send,
    R: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let forward = match client {
        Some(layer) => boxed(layer.layer(forward)),
        None => boxed(forward),
    };
    let forward = forward
        .map_request(move |request| aim(request, scheme.clone(), &upstream))
        .map_result(|result| Ok::<_, io::Error>(answer(result)));
    match server {
        Some(layer) => boxed(layer.layer(forward)),
        None => boxed(forward),
    }
}

/// Serves connections until `stop` is ready, then lets those that are open finish.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Hop<Body>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = &mut stop => break,
        };
        stream.set_nodelay(true)?;
        // hyper does not know the peer; the layer records what is put here.
        let service = service
            .clone()
            .map_request(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(PeerAddr(peer));
                request
            });
        let connection = auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A caller that goes away is its own affair.
            let _ = connection.await;
        });
    }
    connections.shutdown().await;
    Ok(())
}

/// Boxes a service with its body, so that with and without a layer are of one type.
fn boxed<S, B, R>(service: S) -> Hop<B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
    R: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(
        service
            .map_response(|response| response.map(Body::new))
            .map_err(io::Error::other),
    )
}

/// Turns a request at the proxy into one for the upstream.
fn aim<B>(mut request: Request<B>, scheme: Scheme, upstream: &Authority) -> Request<B> {
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(scheme);
    target.authority = Some(upstream.clone());
    let path = target.path_and_query.take();
    target.path_and_query = path.or_else(|| Some(PathAndQuery::from_static("/")));
    if let Ok(target) = Uri::from_parts(target) {
        *request.uri_mut() = target;
    }
    *request.version_mut() = http::Version::HTTP_11;
    remove_hop_by_hop(request.headers_mut());
    request
}

/// What the upstream said, or that it said nothing.
fn answer(result: io::Result<Response<Body>>) -> Response<Body> {
    let mut response = result.unwrap_or_else(|_error| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    remove_hop_by_hop(response.headers_mut());
    response
}

/// Removes what concerns one connection only ([RFC 9110, 7.6.1]).
///
/// [RFC 9110, 7.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}
