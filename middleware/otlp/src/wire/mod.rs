//! The few protobuf primitives that OTLP needs, written and read by hand.
//!
//! The encoder writes fields in the order of their numbers with minimal varints, as every generated
//! encoder does; the reader takes whatever a conforming decoder takes, and never more than the
//! bytes it was given.
//!
//! Public for the crates of this family alone: it may change with any version.
//!
//! Wire format: [Protocol Buffers encoding](https://protobuf.dev/programming-guides/encoding/).

mod read;
mod write;

pub use self::read::{Field, MAX_DEPTH, Malformed, Payload, Reader};
pub use self::write::{
    MAX_LEN_LEN, NESTING_BYTES, Run, nested_len, put_key, put_len, put_len_at_once, put_varint,
    varint_len,
};

/// How a field's payload is laid out: the low three bits of its key.
pub mod wire_type {
    /// Integers, enumerations and truth values.
    pub const VARINT: u32 = 0;
    /// Eight bytes.
    pub const FIXED64: u32 = 1;
    /// A length and as many bytes.
    pub const LEN: u32 = 2;
    /// The start of a group.
    pub const START_GROUP: u32 = 3;
    /// The end of a group.
    pub const END_GROUP: u32 = 4;
    /// Four bytes.
    pub const FIXED32: u32 = 5;
}
