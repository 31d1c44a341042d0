//! What the layers do to the wire: nothing, but for the context that a client's writes.
//!
//! A proxy of hyper's stands between a client and a server that speak HTTP/2 by hand, once with our
//! layers in it and once without.

mod backpressure;
mod frames;
mod peer;
mod tap;

use bytes::Bytes;
use http::uri::Authority;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use towline_grpc::{client as client_side, server as server_side};
use towline_test_support::TestTracing;

type Proxy =
    BoxCloneSyncService<Request<Incoming>, Response<BoxBody<Bytes, hyper::Error>>, BoxError>;

/// A proxy by this client: our server layer over our client layer over it, or it alone.
fn proxy<C>(tracing: Option<&TestTracing>, backend: Authority, client: C) -> Proxy
where
    C: Service<Request<Incoming>, Response = Response<Incoming>> + Clone + Send + Sync + 'static,
    C::Future: Send,
    C::Error: Into<BoxError>,
{
    let client = client.map_err(Into::into);
    let aim = move |mut request: Request<Incoming>| {
        let mut target = std::mem::take(request.uri_mut()).into_parts();
        target.authority = Some(backend.clone());
        *request.uri_mut() = Uri::from_parts(target).unwrap();
        request
    };
    match tracing {
        Some(tracing) => BoxCloneSyncService::new(
            ServiceBuilder::new()
                .map_response(|response: Response<_>| response.map(BodyExt::boxed))
                .layer(server_side::TraceLayer::from_spans(tracing.spans()))
                .map_request(aim)
                .layer(client_side::TraceLayer::from_spans(tracing.spans()))
                .service(client),
        ),
        None => BoxCloneSyncService::new(
            ServiceBuilder::new()
                .map_response(|response: Response<_>| response.map(BodyExt::boxed))
                .map_request(aim)
                .service(client),
        ),
    }
}
