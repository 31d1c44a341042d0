//! What the end-to-end tests stand on: processes in one process, joined by real sockets on the loopback
//! interface.
//!
//! A [`Hop`] is the tracing of one program on the way of a request; a [`Server`] serves a tower service
//! the way hyper does; [`client`](client()) sends requests the way hyper-util does; [`proxy`](proxy())
//! stands between them. Whatever a test waits for it waits for [`within`] a generous limit: nothing
//! sleeps.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics"
)]

mod body;
mod client;
mod hop;
mod proxy;
mod server;
mod tasks;
mod wait;
mod wire;

pub use self::body::{Body, BodyError, any, empty, full, scripted};
pub use self::client::{Answer, HyperClient, Protocol, ask, client, get, read};
pub use self::hop::{Hop, assert_joined, assert_nested};
pub use self::proxy::proxy;
pub use self::server::Server;
pub use self::tasks::Tasks;
pub use self::wait::within;
pub use self::wire::{Nobody, RawServer, exchange_bytes};
