//! The sender's identity on every span, and nothing that the sender wrote in its place.
//!
//! [`Stamp::apply`] takes an encoded `ExportTraceServiceRequest` and gives it back with one more
//! attribute, [`FORWARDED_FOR`] by default, on every resource and every span. It works on the bytes:
//! they are walked over once, and copied once with the edits in place. Nothing is decoded into
//! structures, so that the fields of later OTLP versions stay as they are.
//!
//! # Examples
//!
//! For a collector that looks at resources only, under a key of one's own:
//!
//! ```
//! use bytes::Bytes;
//! use towline_forwarder::{Identity, Place, Stamp};
//!
//! let stamp = Stamp::new(&Identity::new("alice")?)
//!     .key("enduser.id")
//!     .place(Place::Resource)
//!     .max_spans(10_000);
//! let batch = stamp.apply(&Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0]))?;
//! assert_eq!(
//!     &batch.bytes()[..],
//!     b"\x0a\x1d\x0a\x17\x0a\x15\x0a\x0aenduser.id\x12\x07\x0a\x05alice\x12\x02\x12\x00"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is added
//!
//! One attribute, a string, at the end of each span and of each resource; a `ResourceSpans` without
//! a resource gets one. RFD 65 of Teleport wants it on every span, its code writes it on the
//! resource: readers of either find it. [`Place`] says where else it may go.
//!
//! # What is removed
//!
//! Every attribute under the key, wherever a request can have attributes: of resources, scopes,
//! spans, events and links, as often as it stands there, and
//!
//! - in the lists of keys and values that an attribute's value can hold, at any depth;
//! - in such lists where the keys on the way to it, joined with dots, are the key, as they are to a
//!   backend that flattens values: `forwarded.for` in the value of `teleport`;
//! - in the second of two resources, scopes or values, which decoders merge;
//! - under a key that a second one in the same attribute hides, or that hides a first one. The last
//!   one counts by protobuf's rules; not every reader goes by them.
//!
//! Keys are compared as bytes, as backends do: another case, or letters that look alike, are
//! another key.
//!
//! # What stays
//!
//! Everything else, byte for byte and in its order: counts of dropped attributes (nothing was
//! dropped that the client recorded), `entity_refs` that name the key (what they refer to is ours),
//! fields that are not known, also inside of a message that changes. Of such a message the key and
//! the length before it are written anew, as short as they can be.
//!
//! There is one exception. Field 1000 of a `ResourceSpans` was `instrumentation_library_spans`. It is
//! gone from OTLP, yet the Collector still reads it, if there are no `scope_spans`. Left as it is it
//! would carry spans past the stamp and past every count. So what a receiver was told to do with it
//! is done here: the field becomes `scope_spans`, or is removed if there are some.
//!
//! # What is refused
//!
//! A request that decoders do not all read, or not alike, is [`Malformed`](StampErrorKind::Malformed).
//! So what comes out can be read by everyone, and one client's request cannot spoil those of others
//! that are sent on with it.
//!
//! | what | why |
//! |---|---|
//! | a known field with another wire type | some decoders refuse it, some step over it |
//! | text that is not UTF-8 | protobuf's own decoders refuse it, the Collector's takes it |
//! | ids that are not of 16 and 8 bytes, or empty | the Collector's decoder refuses the whole request |
//! | a group | OTLP has none, and the Collector's decoder takes what is in it for fields around it |
//! | keys and lengths beyond five bytes or 32 bits, varints that overflow, field number 0 | some decoders refuse them, some look at the lower bits only |
//! | more than 99 messages in each other | common decoders stop at 100, and differ in what they take there |
//! | what is cut short | no decoder takes it |
//!
//! What is inside of a removed attribute is not looked at.
//!
//! # What it costs
//!
//! Time and memory are bounded by the request's length and the limits, whatever is in it. Two
//! allocations for a request, none for a span; a span costs less than a tenth of what it costs to
//! decode and encode it.

mod edit;
mod error;
mod plain;
mod schema;
mod walk;

use std::borrow::Cow;

use bytes::Bytes;
use towline_otlp::Batch;
use towline_otlp::wire::{nested_len, put_len, put_varint};

use crate::Identity;

use self::edit::MAX_REQUEST_BYTES;
pub use self::error::{StampError, StampErrorKind};
use self::schema::{KEY, STRING_VALUE, VALUE};
use self::walk::Walk;

/// The attribute that says who sent a span: Teleport's name for it, from [RFD 65].
///
/// [RFD 65]: https://github.com/gravitational/teleport/blob/v18.0.0/rfd/0065-distributed-tracing.md
pub const FORWARDED_FOR: &str = "teleport.forwarded.for";

/// Writes an identity on every span of a request. See the [module](self).
#[derive(Clone, Debug)]
pub struct Stamp {
    key: Cow<'static, str>,
    identity: Identity,
    /// The encoded `KeyValue`, with its length before it.
    attribute: Vec<u8>,
    place: Place,
    max_spans: usize,
    max_bytes: usize,
}

/// Where the identity goes. It is removed everywhere, wherever it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// On every resource and on every span.
    #[default]
    ResourceAndSpans,
    /// On every resource.
    Resource,
    /// On every span.
    Spans,
}

// === impl Stamp ===

impl Stamp {
    /// The default of [`max_spans`](Self::max_spans): some ten times the batches of a Collector.
    pub const DEFAULT_MAX_SPANS: usize = 100_000;

    /// The default of [`max_bytes`](Self::max_bytes), 64 MiB: what OTLP's exporters in Go send at
    /// most.
    pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

    /// Writes `identity` as [`FORWARDED_FOR`], on every resource and every span.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self {
            key: Cow::Borrowed(FORWARDED_FOR),
            attribute: attribute(FORWARDED_FOR, identity),
            identity: identity.clone(),
            place: Place::default(),
            max_spans: Self::DEFAULT_MAX_SPANS,
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }

    /// Writes it under another key. It is this key that is removed from what the client sent, and no
    /// other.
    #[must_use]
    pub fn key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.key = key.into();
        self.attribute = attribute(&self.key, &self.identity);
        self
    }

    /// Where it is written, [`Place::ResourceAndSpans`] by default.
    #[must_use]
    pub const fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The most spans of a request, [`DEFAULT_MAX_SPANS`](Self::DEFAULT_MAX_SPANS) by default.
    #[must_use]
    pub const fn max_spans(mut self, max_spans: usize) -> Self {
        self.max_spans = max_spans;
        self
    }

    /// The most bytes of a request, before and after,
    /// [`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES) by default. Protobuf ends below 2 GiB, and so
    /// does this.
    #[must_use]
    pub const fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = if max_bytes < MAX_REQUEST_BYTES {
            max_bytes
        } else {
            MAX_REQUEST_BYTES
        };
        self
    }

    /// The most bytes that a request of `request_bytes` can become, if it is one that has a resource
    /// or a span in every two of them.
    pub(crate) fn most_bytes(&self, request_bytes: usize) -> usize {
        let stamp_bytes = self.attribute.len() + HEAD_BYTES;
        let stamps = (request_bytes / 2).saturating_mul(stamp_bytes);
        request_bytes.saturating_add(stamps).min(self.max_bytes)
    }

    /// Stamps an encoded `ExportTraceServiceRequest` and counts its spans.
    ///
    /// The same stamp once more changes nothing. A request without spans and resources is given back
    /// as it is.
    ///
    /// # Errors
    ///
    /// [`StampError`] if not every decoder reads the request in the same way, or if it has more spans
    /// or bytes than are allowed.
    pub fn apply(&self, request: &Bytes) -> Result<Batch, StampError> {
        self.apply_within(request, |_| Ok(()))
    }

    /// As [`apply`](Self::apply), and asks `room` for the bytes that it takes besides the request,
    /// before there is another copy of it.
    pub(crate) fn apply_within<E: From<StampError>>(
        &self,
        request: &Bytes,
        room: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<Batch, E> {
        let too_large = || StampError::too_large(self.max_bytes);
        if request.len() > self.max_bytes {
            return Err(too_large().into());
        }
        let walk = Walk::over(self, request)?;
        let edits = walk.edits();
        let stamped = if edits.is_empty() {
            request.clone()
        } else if edits.edited_len(request) > self.max_bytes {
            return Err(too_large().into());
        } else {
            room(
                edits
                    .edited_len(request)
                    .saturating_add(edits.noted_bytes()),
            )?;
            // Edits that do not fit the request they were made for would be a mistake of ours.
            // Nothing may get past the stamp by it.
            Bytes::from(edits.apply(request).ok_or_else(too_large)?)
        };
        Ok(Batch::from_encoded(stamped, walk.spans()))
    }
}

/// Keys and lengths around an attribute, and what those before them grow by, at most.
const HEAD_BYTES: usize = 16;

/// An encoded `KeyValue`, with its length before it.
fn attribute(key: &str, identity: &Identity) -> Vec<u8> {
    let value = identity.as_str();
    let value_len = nested_len(value.len());
    let len = nested_len(key.len()) + nested_len(value_len);
    let mut out = Vec::with_capacity(nested_len(len));
    put_varint(&mut out, len as u64);
    put_len(&mut out, KEY, key.len());
    out.extend_from_slice(key.as_bytes());
    put_len(&mut out, VALUE, value_len);
    put_len(&mut out, STRING_VALUE, value.len());
    out.extend_from_slice(value.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_asked_for_before_there_is_a_second_copy() {
        let alice = Identity::new("alice").unwrap();
        let request = Bytes::from([0x0a, 0].repeat(1000));
        let stamp = Stamp::new(&alice);
        let stamped = stamp.apply(&request).unwrap();
        let mut asked = 0;
        let room = |more| {
            asked = more;
            Ok::<(), StampError>(())
        };
        assert_eq!(stamp.apply_within(&request, room).unwrap(), stamped);
        assert!(asked > stamped.len_bytes(), "{asked}");
        assert!(stamp.most_bytes(request.len()) >= stamped.len_bytes());

        let none = |_| Err(StampError::too_large(7));
        let refused = stamp.apply_within(&request, none).unwrap_err();
        assert_eq!(refused, StampError::too_large(7));
        // What does not change takes none.
        let empty = Bytes::from_static(&[0x10, 1]);
        assert_eq!(stamp.apply_within(&empty, none).unwrap().spans(), 0);
    }
}
