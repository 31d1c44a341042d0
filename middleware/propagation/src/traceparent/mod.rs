//! The `traceparent` header: which trace a request belongs to and which span sent it.
//!
//! [`TraceParent`] is a value that is legal by construction: both ids are non-zero and no flag but the two
//! that level 2 of the recommendation defines is set. Reading and writing one allocate nothing.
//!
//! Parsing is strict, as [W3C Trace Context level 2, §3.2][spec] demands, with one exception that the
//! validation suite makes: white space around the value is ignored.
//!
//! | input | answer |
//! |---|---|
//! | version `00` | accepted at exactly 55 bytes |
//! | versions `01` to `fe` | the first four fields are read; more may follow behind another `-` |
//! | version `ff` | refused |
//! | upper-case digits, in any field | refused |
//! | a `trace-id` or `parent-id` of zeros only | refused |
//! | flags other than *sampled* (`01`) and *random* (`02`) | dropped; the rest is accepted |
//! | spaces and tabs before or after the value | ignored |
//!
//! ```
//! use towline_propagation::traceparent::{ParseTraceParentErrorKind, TraceParent};
//!
//! let parent = TraceParent::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
//! assert!(parent.is_sampled());
//! assert_eq!(parent.parent_id().to_string(), "b7ad6b7169203331");
//!
//! // Ids are lower-case.
//! let error = TraceParent::parse(b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01").unwrap_err();
//! assert_eq!(error.kind(), ParseTraceParentErrorKind::TraceId);
//! # Ok::<(), towline_propagation::traceparent::ParseTraceParentError>(())
//! ```
//!
//! [spec]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#traceparent-header

mod error;
mod value;

pub use error::{ParseTraceParentError, ParseTraceParentErrorKind};
pub use value::{RANDOM, TraceParent};

#[cfg(test)]
mod tests;
