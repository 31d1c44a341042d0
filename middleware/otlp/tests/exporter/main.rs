//! The exporter and its transports, from the end of a span to what arrives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod accounting;
#[cfg(all(feature = "grpc", feature = "http", feature = "tls"))]
mod away;
mod build;
#[cfg(all(feature = "grpc", feature = "http"))]
mod compression;
#[cfg(all(feature = "grpc", feature = "http"))]
mod connections;
mod encoding;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "grpc")]
mod forward;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(all(feature = "grpc", feature = "http"))]
mod headers;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "grpc")]
mod late;
mod log;
#[cfg(feature = "metrics")]
mod metrics;
mod outage;
mod recorder;
mod retry;
mod service;
mod shutdown;
#[cfg(all(feature = "grpc", feature = "http"))]
mod split;
#[path = "../support/mod.rs"]
mod support;
#[cfg(all(feature = "grpc", feature = "http"))]
mod teleport;
#[cfg(all(feature = "tls", feature = "grpc", feature = "http"))]
mod tls;
#[cfg(all(feature = "grpc", unix))]
mod unix;
