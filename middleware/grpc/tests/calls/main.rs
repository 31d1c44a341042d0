//! Calls over real sockets: tonic's servers, channels and generated clients, hyper and axum, and what
//! the layers record of them.

#![allow(
    missing_debug_implementations,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test has no users, and may panic"
)]

mod chain;
mod conversation;
mod echo;
mod matrix;
mod nesting;
mod network;
mod proxy;
mod resets;
mod shared_port;
mod stacks;
mod wire;
