//! A small Teleport: an auth server, a proxy, a node and the command-line tool `tsh`, traced as its RFD 65 has it.
//!
//! The backend is known to the servers alone, and they record nothing of their own accord (rate 0). When a user types
//! `tsh --trace ls`, every server that the command reaches records its part, since the caller is sampled; `tsh` hands its
//! own spans to the auth server, over the connection on which it is authenticated anyway. There they are stamped with
//! `teleport.forwarded.for` and sent on.
//!
//! ```text
//!   tsh ──HTTP──> proxy ──mTLS──┐                      a process of its own
//!    │                          v
//!    ├──gRPC, mTLS───────────> auth ──> cache ──> backend     servers: rate 0,
//!    │   its spans: Export      │  ^                          spans to the exporter
//!    │                    gRPC  v  │ gRPC
//!    └──frames over TLS──────> node
//! ```
//!
//! # What to read where
//!
//! | to see | read |
//! |---|---|
//! | `--trace` in a command-line tool: one session around the command, layers on its clients, spans forwarded | `tsh` |
//! | the span forwarder beside other gRPC services, on a port with mTLS | `auth/mod.rs` |
//! | who may forward: a user's name and roles from the certificate, asked for a role | `auth/authorize.rs`, `user.rs` |
//! | spans around what is no request: a cache and a backend, named by the operation | `auth/store.rs` |
//! | a reverse proxy whose upstream is an authenticated gRPC channel | `proxy::through`, `cluster.rs` |
//! | trace context in a protocol without headers: the envelope, when to send one, and what to name the spans | `session/client.rs`, `session/server.rs` |
//! | a gRPC server and a gRPC client in one service | `node.rs` |
//! | all of it put together, and every layer taken away again | `cluster.rs`, `part.rs` |
//! | what must be there for it to count as working | `scenarios.rs`, `story.rs` |
//!
//! What a real one would have to have and this has not: sessions that run commands (a few answers stand in for them),
//! logins (certificates are made when the cluster starts), a backend that outlives the process.

mod auth;
mod certificates;
mod cluster;
mod node;
mod part;
mod proto;
mod scenarios;
mod session;
mod story;
pub mod tsh;
mod user;

pub use self::cluster::{Age, Cluster, Options};
pub use self::part::Part;
pub use self::scenarios::{Received, SCENARIOS, Scenario};
pub use self::story::{Told, tell};
