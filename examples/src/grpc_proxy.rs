//! A reverse proxy of gRPC that never looks into a message: what it does not know it cannot break.

use std::io;

use axum::body::Body;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tonic::Status;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};
use towline::Towline;

/// The proxy as a service: our server layer over our client layer over a hyper client that speaks
/// nothing but HTTP/2.
pub fn service(
    upstream: Authority,
    tracing: &Towline,
) -> BoxCloneSyncService<Request<Body>, Response<Body>, io::Error> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build::<_, Body>(connector);
    let forward = ServiceBuilder::new()
        .layer(tracing.grpc_client())
        .service(client)
        .map_response(|response: Response<_>| response.map(Body::new))
        .map_request(move |request| aim(request, &upstream))
        .map_err(io::Error::other)
        .map_result(|result: io::Result<_>| {
            // A status, as a gRPC client expects it; the client's span has the cause.
            io::Result::Ok(result.unwrap_or_else(|_error| {
                Status::unavailable("the upstream does not answer").into_http()
            }))
        });
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(Body::new))
            .layer(tracing.grpc_server())
            .service(forward),
    )
}

/// Turns a call at the proxy into one for the upstream. Everything else stays, `te: trailers` too.
fn aim(mut request: Request<Body>, upstream: &Authority) -> Request<Body> {
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(Scheme::HTTP);
    target.authority = Some(upstream.clone());
    if let Ok(target) = Uri::from_parts(target) {
        *request.uri_mut() = target;
    }
    request
}
