use std::net::SocketAddr;

use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tower::{Service, ServiceExt, service_fn};

use crate::client::Protocol;

/// A reverse proxy: sends what it gets to `upstream`, all headers copied, through the client `forward`,
/// which speaks `protocol`. It passes an upgrade to another protocol on.
pub fn proxy<S, B>(
    forward: S,
    upstream: SocketAddr,
    protocol: Protocol,
) -> impl Service<Request<Incoming>, Response = Response<B>, Error = S::Error, Future: Send>
+ Clone
+ Send
+ 'static
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send,
{
    service_fn(move |mut request: Request<Incoming>| {
        let forward = forward.clone();
        async move {
            let upgrades = request.headers().contains_key(UPGRADE);
            let below = upgrades.then(|| hyper::upgrade::on(&mut request));
            let mut response = forward.oneshot(aimed(request, upstream, protocol)).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let above = hyper::upgrade::on(&mut response);
                tokio::spawn(async move {
                    let Some(below) = below else { return };
                    let (Ok(below), Ok(above)) = (below.await, above.await) else {
                        return;
                    };
                    let (mut below, mut above) = (TokioIo::new(below), TokioIo::new(above));
                    // Ends when both sides have closed.
                    let _ = copy_bidirectional(&mut below, &mut above).await;
                });
            } else {
                remove_hop_by_hop(response.headers_mut());
            }
            Ok(response)
        }
    })
}

fn aimed(
    mut request: Request<Incoming>,
    upstream: SocketAddr,
    protocol: Protocol,
) -> Request<Incoming> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let uri: Uri = format!("http://{upstream}{path}").parse().unwrap();
    *request.uri_mut() = uri;
    *request.version_mut() = protocol.version();
    let headers = request.headers_mut();
    if protocol == Protocol::Http2 {
        headers.remove(HOST);
    }
    if !headers.contains_key(UPGRADE) {
        remove_hop_by_hop(headers);
    }
    request
}

/// What concerns one connection only; `TE` may say that trailers are welcome.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
}
