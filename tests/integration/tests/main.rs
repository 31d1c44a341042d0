//! Requests through servers, proxies and clients, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod axum_app;
mod bodies;
mod cancelled;
mod failed;
mod guide;
mod joined;
mod kept_context;
mod live;
mod panicked;
mod plain_api;
mod proxied;
mod reqwest_client;
mod sampled;
mod switched;
mod tracing_api;
mod transparent;
mod trusted;
mod upgraded;
mod websocket;
