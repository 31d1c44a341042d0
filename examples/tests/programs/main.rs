//! The example programs, run as a user would: as processes, over real sockets.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod axum_app;
mod forwarder;
mod grpc;
mod process;
mod quickstart;
mod reverse_proxy;
mod teleport;
mod trace_cli;
mod upstream;
mod w3c_service;
