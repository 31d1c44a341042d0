//! The peer's address from what hyper-util knows.
//!
//! A client on hyper-util's `HttpConnector` leaves an `HttpInfo` in the extensions of its responses:
//! [`with_hyper_util`](crate::client::TraceLayer::with_hyper_util) is all it takes.

use std::net::SocketAddr;

use hyper_util::client::legacy::connect::HttpInfo;

use crate::client::TraceLayer;
use crate::head::ResponseHead;
use crate::peer::PeerAddr;

impl<T> TraceLayer<T> {
    /// Takes the peer's address from [`PeerAddr`] or hyper-util's `HttpInfo`.
    #[must_use]
    pub fn with_hyper_util(self) -> Self {
        self.with_peer(peer)
    }
}

/// The peer's address as the client has left it.
fn peer(response: ResponseHead<'_>) -> Option<SocketAddr> {
    if let Some(peer) = response.extensions.get::<PeerAddr>() {
        return Some(peer.0);
    }
    let info = response.extensions.get::<HttpInfo>()?;
    Some(info.remote_addr())
}
