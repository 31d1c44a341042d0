//! The `baggage` header: the application's own name/value pairs, passed on with every request.
//!
//! [`decode`] and [`encode`] translate between header lines and the API's [`Baggage`], by the
//! [W3C Baggage][spec] candidate recommendation.
//!
//! # What is accepted
//!
//! | input | answer |
//! |---|---|
//! | several header lines | one list, in the order of the lines |
//! | `=` in a value | part of the value |
//! | percent-encoded bytes in a value | decoded; what is not UTF-8 becomes U+FFFD, as the [specification][value] says |
//! | `%` without two hexadecimal digits | stands for itself |
//! | properties (`;ttl=5;private`) | kept as the entry's metadata, in encoded form |
//! | a member with an illegal key, value or property, or without `=` | that member is skipped |
//! | empty members and properties | skipped |
//! | a name for the second time | the later member wins, as OpenTelemetry [demands][conflict] |
//! | more than 64 members | the first 64 are kept |
//! | more than 8192 bytes | members that no longer fit are skipped, later and shorter ones may still be kept |
//! | more than 16 KiB | what lies behind is not looked at |
//!
//! Nothing is ever logged: the content belongs to the peer.
//!
//! # What is sent
//!
//! One header line of at most [`MAX_MEMBERS`] members and [`MAX_BYTES`] bytes, sorted by name, so that the
//! same baggage always makes the same header. An entry that does not fit is left out whole. Bytes that the
//! grammar allows in a value are sent as they are and all others percent-encoded, so that baggage that is
//! passed on does not grow.
//!
//! ```
//! use towline_propagation::baggage;
//!
//! let received = baggage::decode([&b"user=Am%C3%A9lie;ttl=5, broken"[..], b"tenant=a=b"]);
//! assert_eq!(received.get("user").map(|value| value.as_str()), Some("Am\u{e9}lie"));
//! assert_eq!(baggage::encode(&received), "tenant=a=b,user=Am%C3%A9lie;ttl=5");
//! ```
//!
//! [`Baggage`]: opentelemetry::baggage::Baggage
//! [spec]: https://www.w3.org/TR/2024/CR-baggage-20240530/
//! [value]: https://www.w3.org/TR/2024/CR-baggage-20240530/#value
//! [conflict]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/baggage/api.md#conflict-resolution

mod decode;
mod encode;
mod grammar;

pub use decode::decode;
pub use encode::encode;

pub(crate) use decode::incoming;
pub(crate) use grammar::is_token;

/// The most members of a baggage that is read or sent: 64, the number that every platform must
/// [propagate](https://www.w3.org/TR/2024/CR-baggage-20240530/#limits) and the most the API's `Baggage` holds.
pub const MAX_MEMBERS: usize = 64;

/// The most bytes of a baggage that is read or sent, all its members and the commas between them: 8192, the
/// number that every platform must [propagate](https://www.w3.org/TR/2024/CR-baggage-20240530/#limits).
pub const MAX_BYTES: usize = 8192;

#[cfg(test)]
mod tests;
