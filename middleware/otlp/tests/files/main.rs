//! Files of every format, read back by decoders that are not ours: what was written, whole, in
//! order, whatever befell the disk or the process.
#![cfg(feature = "file")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod child;
mod full;
mod kill;
mod proto;
mod read;
mod retry;
#[path = "../support/mod.rs"]
mod support;
mod teleport;
mod written;
