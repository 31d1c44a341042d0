//! The `tracestate` header: what tracing systems tell each other along a trace.
//!
//! A `tracestate` is a list of up to 32 *list-members* `key=value`, the most recent writer's first. [`List`]
//! is one that is legal by construction: parsing it, from any number of header lines, is also what checks it.
//!
//! # What is accepted
//!
//! The grammar is that of [W3C Trace Context level 2, §3.3][spec].
//!
//! | input | answer |
//! |---|---|
//! | several header lines | one list, in the order of the lines |
//! | empty members, white space around members, an empty header | skipped |
//! | a key that is not `[a-z0-9][a-z0-9_\-*/@]{0,255}` | the whole list is refused |
//! | a value that is not 1 to 256 of the bytes `0x20` to `0x7e` without `,` and `=` | the whole list is refused |
//! | a member without `=` | the whole list is refused |
//! | more than 32 members | the whole list is refused |
//! | a key for the second time | the later member is dropped |
//! | more than 32 KiB in all | the whole list is refused |
//!
//! An illegal member takes the whole list with it. The specification leaves the choice (*"MAY be discarded"*,
//! [§4.3]), the validation suite does not, and there is an argument beside: a list with a hole still looks
//! complete, and its leftmost member would be taken for the one that belongs to the `traceparent`.
//!
//! Of members with the same key the first one wins. One entry per key is all that is
//! [allowed][combined], writers put theirs at the left, so the leftmost is the most recent; and the
//! suite's level for duplicates accepts dropping one of them.
//!
//! # What is sent
//!
//! One header line of at most [`MAX_BYTES`] bytes, or none when the list is empty. A longer list loses whole
//! members, those over 128 bytes first and always from the right end, as [the specification][limits] says.
//!
//! # Members that OpenTelemetry cannot hold
//!
//! The API's [`TraceState`](opentelemetry::trace::TraceState) follows level 1, where a key has at most one
//! `@`, with at most 14 characters behind it. Level 2 has no such rule, and one key like `foo@@bar` makes the
//! API refuse the whole list. Such members travel beside it, in a value of the
//! [`Context`](opentelemetry::Context) that is tied to the trace id, so that they never leak into another
//! trace. They come back on injection:
//!
//! 1. members that were added or changed in the `TraceState`, or moved to its front;
//! 2. everything else in the order in which it arrived, those beside the `TraceState` included;
//! 3. nothing that was deleted from the `TraceState`, and nothing behind the 32nd.
//!
//! [spec]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#tracestate-header
//! [§4.3]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#a-traceparent-is-received
//! [combined]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#combined-header-value
//! [limits]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#tracestate-limits

mod beside;
mod error;
mod list;
mod member;
mod outgoing;

pub use error::{ParseTraceStateError, ParseTraceStateErrorKind};
pub use list::{List, MAX_BYTES, MAX_MEMBERS};
pub use member::Member;

pub(crate) use beside::incoming;
pub(crate) use outgoing::outgoing;

#[cfg(test)]
mod tests;
