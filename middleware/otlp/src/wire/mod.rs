//! The few protobuf primitives that OTLP needs, written and read by hand.
//!
//! The encoder writes fields in the order of their numbers with minimal varints, as every generated
//! encoder does; the reader takes whatever a conforming decoder takes, and never more than the
//! bytes it was given.
//!
//! Wire format: [Protocol Buffers encoding](https://protobuf.dev/programming-guides/encoding/).

mod read;
mod write;

pub(crate) use self::read::{Malformed, Payload, Reader};
pub(crate) use self::write::{MAX_LEN_LEN, nested_len, put_key, put_len, put_varint, varint_len};

/// How a field's payload is laid out: the low three bits of its key.
pub(crate) mod wire_type {
    pub(crate) const VARINT: u32 = 0;
    pub(crate) const FIXED64: u32 = 1;
    pub(crate) const LEN: u32 = 2;
    pub(crate) const START_GROUP: u32 = 3;
    pub(crate) const END_GROUP: u32 = 4;
    pub(crate) const FIXED32: u32 = 5;
}
