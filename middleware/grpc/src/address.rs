use std::net::SocketAddr;

use hyper_util::client::legacy::connect::HttpInfo;
use opentelemetry::KeyValue;
use towline_http::attributes::{
    HostAndPort, NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, PEER, SERVER_ADDRESS, SERVER_PORT,
    shared_ip,
};
use towline_http::{DEFAULT_VALUE_LIMIT_BYTES, PeerAddr, RequestHead, ResponseHead};
use towline_span::{Recording, truncate};

/// `server.address` and `server.port` as the target of a request has them, if it has any.
pub(crate) fn tell_server<R: Recording + ?Sized>(request: RequestHead<'_>, into: &mut R) {
    if let Some(server) = HostAndPort::of_request(request.uri, request.headers) {
        // A caller can send a `host` of any length.
        let host = truncate(server.host, DEFAULT_VALUE_LIMIT_BYTES);
        into.frequent_text(SERVER_ADDRESS, host);
        if let Some(port) = server.port {
            into.number(SERVER_PORT, i64::from(port));
        }
    }
}

/// The peer of the connection that a request came on, as the server has left it in the extensions.
pub(crate) fn peer_of_request(request: RequestHead<'_>) -> Option<SocketAddr> {
    if let Some(peer) = request.extensions.get::<PeerAddr>() {
        return Some(peer.0);
    }
    #[cfg(feature = "tonic")]
    {
        use tonic::transport::server::TcpConnectInfo;
        request.extensions.get::<TcpConnectInfo>()?.remote_addr()
    }
    #[cfg(not(feature = "tonic"))]
    None
}

/// The peer of the connection that a response came on, as the client has left it in the extensions.
pub(crate) fn peer_of_response(response: ResponseHead<'_>) -> Option<SocketAddr> {
    if let Some(peer) = response.extensions.get::<PeerAddr>() {
        return Some(peer.0);
    }
    let info = response.extensions.get::<HttpInfo>()?;
    Some(info.remote_addr())
}

/// `network.peer.address` and `network.peer.port`, at the start of a span.
pub(crate) fn tell_peer<R: Recording + ?Sized>(address: SocketAddr, into: &mut R) {
    into.address(&PEER, address.ip());
    into.number(NETWORK_PEER_PORT, i64::from(address.port()));
}

/// The same, later.
pub(crate) fn peer(address: SocketAddr, mut set: impl FnMut(KeyValue)) {
    let ip = shared_ip(address.ip());
    set(KeyValue::new(NETWORK_PEER_ADDRESS, ip));
    set(KeyValue::new(NETWORK_PEER_PORT, i64::from(address.port())));
}
