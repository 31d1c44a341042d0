//! The quickstart: a proxy, an app and a gRPC service, a few requests, and their traces read back.

mod cluster;
mod expected;

pub use self::cluster::{Cluster, Hop};
pub use self::expected::{BROKEN, EVENTS, USERS};
