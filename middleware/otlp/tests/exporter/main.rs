//! The exporter and its transports, from the end of a span to what arrives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod accounting;
mod build;
mod encoding;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod log;
mod retry;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
