//! What software of others makes of Towline's spans.
//!
//! [`hard`] makes spans that are as difficult as OTLP lets them be, [`export`] sends them through
//! the exporter to one of the [`peers`], and what the peer says it has got is compared with what
//! was recorded, field by field, by [`span::assert_same`].
//!
//! The other way round, [`clients`] that others wrote send spans through a [`forwarder`] to a
//! collector, and what arrives is compared with what they say they recorded, and with what
//! [`stamped`] makes of it.
//!
//! Peers and clients are installed by `tests/interop/run`, which then runs the tests.

pub mod clients;
pub mod export;
pub mod forwarder;
pub mod hard;
pub mod load;
pub mod peer;
pub mod peers;
pub mod protobuf;
pub mod recorded;
pub mod sink;
pub mod span;
pub mod stamped;
pub mod tools;
