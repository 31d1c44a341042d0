//! What comes out of the stamp, as real decoders read it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

mod arbitrary;
mod check;
mod limits;
mod model;
mod properties;
mod slow;
mod spoofing;
mod wire;

use towline_forwarder::{Identity, Stamp};

fn alice() -> Stamp {
    Stamp::new(&Identity::new("alice").unwrap())
}
