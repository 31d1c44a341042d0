//! A message with its trace context, for protocols that have no headers.
//!
//! Requests of SSH, packets of a protocol of one's own, jobs in a table: what has nowhere to put a `traceparent`
//! can be sent in an envelope. Its form is the one that Teleport sends over SSH, a JSON object of exactly two
//! members:
//!
//! ```json
//! {"PropagationContext":{"traceparent":"00-…-01"},"Payload":"base64"}
//! ```
//!
//! | member | value |
//! |---|---|
//! | `PropagationContext` | an object of strings, one for each header that would be sent; `null` is an empty one |
//! | `Payload` | the message, in [standard base64 with padding][base64]; `null` is an empty one |
//!
//! # Which messages are envelopes
//!
//! A receiver gets messages from senders that know nothing of envelopes, and many of them are JSON. So nothing is
//! taken for an envelope but an object of these two members, both present, neither of them twice, of these types,
//! within [the limits](MAX_CONTEXT_BYTES). Anything else is handed on as it came, byte for byte; the order of the
//! members and white space are JSON's own business. Teleport takes every JSON for an envelope and makes an empty
//! message of what has no `Payload`; that is not followed.
//!
//! A message of the sender's that happens to be an envelope itself is put into one more, though there be no context
//! to send. So [`open`](Envelope::open) gives back what [`seal`](Envelope::seal) was given, whatever it was.
//!
//! # When to send one
//!
//! A receiver that does not know envelopes will not understand them. Whether this one does is for the protocol to
//! find out: Teleport looks for `SSH-2.0-Teleport` at the beginning of its version.
//!
//! # Examples
//!
//! ```
//! use opentelemetry::{
//!     Context,
//!     trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
//! };
//! use towline_propagation::envelope::Envelope;
//!
//! let span = SpanContext::new(
//!     TraceId::from(0x0af7651916cd43dd8448eb211c80319c),
//!     SpanId::from(0xb7ad6b7169203331),
//!     TraceFlags::SAMPLED,
//!     false,
//!     TraceState::NONE,
//! );
//! let envelope = Envelope::new();
//!
//! let sent = envelope.seal(&Context::new().with_remote_span_context(span), b"exec ls");
//! assert!(sent.starts_with(br#"{"PropagationContext":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c"#));
//!
//! let received = envelope.open(&sent, &Context::new());
//! assert_eq!(*received.payload, *b"exec ls");
//! assert!(received.extraction.parent.is_some_and(|parent| parent.is_sampled()));
//!
//! // Somebody else's JSON is not touched.
//! let foreign = br#"{ "Payload": "bHM=" }"#;
//! assert_eq!(*envelope.open(foreign, &Context::new()).payload, *foreign);
//! ```
//!
//! [base64]: https://www.rfc-editor.org/rfc/rfc4648.html#section-4

mod wire;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;

use self::wire::{Fields, Sealed};
use crate::{Extraction, Propagator, text_map::NO_TEXT};

pub use self::wire::{MAX_CONTEXT_BYTES, MAX_CONTEXT_FIELDS};

/// Puts messages into envelopes and takes them out; see the [module](self).
///
/// A clone is the same, and cheap.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    propagator: Propagator,
}

/// A message that was received, from [`Envelope::open`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// The message that the sender meant: what was in the envelope or, where there was none, what was received, byte
    /// for byte and borrowed.
    pub payload: Cow<'a, [u8]>,
    /// What the envelope says of the sender's context, on top of the one that was given.
    pub extraction: Extraction,
    /// Whether there was an envelope.
    pub was_sealed: bool,
}

// === impl Envelope ===

impl Envelope {
    /// Envelopes with W3C Trace Context and W3C Baggage.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            propagator: Propagator::w3c(),
        }
    }

    /// Sets what is written into envelopes and read from them. Default: [`Propagator::w3c`].
    #[must_use]
    pub fn with_propagator(mut self, propagator: Propagator) -> Self {
        self.propagator = propagator;
        self
    }

    /// The message to send: `payload` in an envelope with what `cx` carries.
    ///
    /// Without anything to carry, or with more than [`MAX_CONTEXT_FIELDS`] or [`MAX_CONTEXT_BYTES`], it is `payload`
    /// itself, borrowed, unless a receiver would take that for an envelope: then it goes into an empty one.
    ///
    /// An envelope is a third longer than its payload, and takes that much memory.
    #[must_use]
    pub fn seal<'a>(&self, cx: &Context, payload: &'a [u8]) -> Cow<'a, [u8]> {
        let fields = self.fields(cx);
        if fields.is_empty() && wire::decode(payload).is_none() {
            return Cow::Borrowed(payload);
        }
        Cow::Owned(wire::encode(fields, payload))
    }

    /// The message that was meant, and the sender's context on top of `base`.
    ///
    /// What is no envelope is handed on untouched. A context in an envelope that is malformed is as good as absent, as
    /// in [`Propagator::extract`]; the payload is none the worse for it.
    ///
    /// Takes at most about twice the memory of the message, whatever it says.
    #[must_use]
    pub fn open<'a>(&self, message: &'a [u8], base: &Context) -> Opened<'a> {
        let (headers, payload, was_sealed) = match wire::decode(message) {
            Some(Sealed { fields, payload }) => (headers(fields), Cow::Owned(payload), true),
            None => (HeaderMap::new(), Cow::Borrowed(message), false),
        };
        Opened {
            payload,
            extraction: self.propagator.extract(&headers, base),
            was_sealed,
        }
    }

    /// What `cx` has to say; nothing where that is too much.
    fn fields(&self, cx: &Context) -> Fields {
        let mut headers = HeaderMap::new();
        self.propagator.inject(cx, &mut headers);
        let fields: Fields = headers
            .iter()
            .filter_map(|(name, value)| {
                let value = std::str::from_utf8(value.as_bytes()).ok()?;
                Some((name.as_str().to_owned(), value.to_owned()))
            })
            .collect();
        if wire::is_within_limits(&fields) {
            fields
        } else {
            Fields::new()
        }
    }
}

/// The fields as the headers that they would have been: names that differ by case are one name, said twice.
fn headers(fields: Fields) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(NO_TEXT));
        drop(headers.try_append(name, value));
    }
    headers
}
