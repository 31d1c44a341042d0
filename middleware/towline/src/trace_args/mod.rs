//! `--trace` for command-line programs.

mod args;
mod builder;
mod notice;
mod session;

pub use self::args::TraceArgs;
pub use self::builder::TraceSessionBuilder;
pub use self::session::TraceSession;
