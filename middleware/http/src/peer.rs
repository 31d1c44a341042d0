use std::net::SocketAddr;

/// The address of the connection's peer: for a server to put into the extensions of its requests,
/// for a client into those of its responses.
///
/// hyper does not know it; the loop that accepts connections, and the connector that makes them, do.
/// axum's `ConnectInfo` is read by [`with_axum`](crate::server::TraceLayer), hyper-util's `HttpInfo`
/// by [`with_hyper_util`](crate::client::TraceLayer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "it is its address and nothing else"
)]
pub struct PeerAddr(pub SocketAddr);
