//! The scripted collector, as raw clients see it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod accounting;
mod answers;
mod client;
mod life;
mod requests;
mod tls;
mod waiting;
mod wire;
