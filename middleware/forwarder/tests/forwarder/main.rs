//! The forwarder over real sockets, between clients and scripted backends.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]
#![allow(
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod accounted;
mod answers;
mod authorized;
mod coalesced;
mod connection;
mod endless;
mod fair;
mod grpc;
mod hostile;
mod http;
#[cfg(feature = "tonic")]
mod in_tonic;
mod limited;
mod memory;
mod mounted;
mod reflected;
mod spoofed;
mod support;
