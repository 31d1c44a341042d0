//! The quickstart: a proxy and an app, a few requests, and their traces read back.

mod cluster;
mod expected;

pub use self::cluster::{Cluster, Hop};
pub use self::expected::{BROKEN, EVENTS, Expected, USERS, check};
