//! The exporter service: a span processor for the SDK, a handle for the program, and the thread
//! between the buffer and the transport.

mod builder;
mod command;
mod handle;
mod health;
mod late;
#[cfg(feature = "metrics")]
mod metrics;
mod outcome;
mod processor;
mod quiet;
mod route;
mod service;
mod stats;
mod thread;
mod worker;

pub use self::builder::{BuildError, BuildErrorKind, ExporterBuilder};
pub use self::handle::Exporter;
pub use self::late::{LateError, LateErrorKind, LatePart};
pub use self::outcome::{FlushError, FlushErrorKind, ShutdownError, ShutdownErrorKind, Summary};
pub use self::processor::Processor;
pub use self::service::{ExporterFuture, ExporterService};
pub use self::stats::{Dropped, Forwarded, Stats};
