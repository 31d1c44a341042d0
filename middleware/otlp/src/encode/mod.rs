//! Spans to OTLP protobuf, without a structure in between: those of the SDK as a whole, those that are
//! recorded here piece by piece.
//!
//! Field numbers and types are those of [opentelemetry-proto 1.10]; the result decodes into what
//! the transformation in the `opentelemetry-proto` crate makes of the same spans, which a property
//! test checks.
//!
//! [opentelemetry-proto 1.10]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/trace/v1/trace.proto

mod attribute;
mod envelope;
mod request;
mod span;

pub(crate) use self::attribute::{
    put_attribute, put_int_attribute, put_text_attribute, put_text_attribute_of_parts,
};
pub(crate) use self::envelope::{Envelope, scope_len};
pub(crate) use self::request::request;
pub(crate) use self::span::{
    DroppedCounts, put_beginning, put_end, put_event, put_link, put_name, put_name_pair, put_place,
    put_span,
};
