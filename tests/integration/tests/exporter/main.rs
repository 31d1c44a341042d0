//! The exporter against collectors that do as they are told, over real sockets and in memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and says what it skips"
)]

mod accounted_for;
mod certificates;
mod forwarded;
mod retried;
