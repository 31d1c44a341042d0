//! What the tests of this crate share: made-up spans, transports that keep or fail, collectors on
//! real sockets.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

pub mod certificates;
pub mod collector;
pub mod front;
pub mod spans;
pub mod transport;
