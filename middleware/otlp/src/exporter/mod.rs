//! The exporter service: a span processor for the SDK, a handle for the program, which hands out
//! recorders, and the thread between the buffer and the transport.

mod build_error;
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
mod verdict;
mod worker;

pub use self::build_error::{BuildError, BuildErrorKind};
pub use self::builder::ExporterBuilder;
pub(crate) use self::handle::Core;
pub use self::handle::Exporter;
pub use self::late::{LateError, LateErrorKind, LatePart};
pub use self::outcome::{FlushError, FlushErrorKind, ShutdownError, ShutdownErrorKind, Summary};
pub use self::processor::Processor;
pub use self::service::{ExporterFuture, ExporterService};
pub use self::stats::{Dropped, Forwarded, Stats};
