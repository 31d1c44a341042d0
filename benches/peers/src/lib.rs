//! What the programs of this package share: one request, one bare service, and every layer that is put around it.
//!
//! See the read-me for what is compared and how.

pub mod clock;
pub mod exchange;
pub mod floor;
pub mod path;
pub mod peers;
pub mod pipeline;
pub mod plain;
pub mod recorded;
pub mod report;
pub mod row;
pub mod sinks;
pub mod table;
