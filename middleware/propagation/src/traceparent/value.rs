//! The value type, its parser and its writer.

use std::{fmt, str::FromStr};

use http::HeaderValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::{ParseTraceParentError, ParseTraceParentErrorKind as Kind};
use crate::{hex, white_space};

/// The flag that says the low 56 bits of the trace id are random
/// ([§3.2.2.5.2](https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#random-trace-id-flag)), which the
/// OpenTelemetry API has no name for.
///
/// It belongs to the trace id and so must survive every hop.
pub const RANDOM: TraceFlags = TraceFlags::new(0x02);

/// A legal `traceparent`: the ids of a trace and of the span that is the parent, and two flags.
///
/// ```
/// use towline_propagation::traceparent::TraceParent;
///
/// // A later version may say more; what version 00 knows is kept and written as version 00.
/// let parent = TraceParent::parse(b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more")?;
/// assert_eq!(&parent.to_bytes(), b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
/// # Ok::<(), towline_propagation::traceparent::ParseTraceParentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: TraceId,
    parent_id: SpanId,
    flags: TraceFlags,
}

// === impl TraceParent ===

impl TraceParent {
    /// A parent of the given ids, or nothing if one of them is all zeros.
    ///
    /// Flags other than *sampled* and [random](RANDOM) are dropped.
    #[must_use]
    pub fn new(trace_id: TraceId, parent_id: SpanId, flags: TraceFlags) -> Option<Self> {
        (trace_id != TraceId::INVALID && parent_id != SpanId::INVALID).then_some(Self {
            trace_id,
            parent_id,
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// The parent that `span_context` is to the next hop, or nothing if it is
    /// [invalid](SpanContext::is_valid).
    ///
    /// Its `TraceState` travels in a header of its own and is not looked at.
    #[must_use]
    pub fn from_span_context(span_context: &SpanContext) -> Option<Self> {
        Self::new(
            span_context.trace_id(),
            span_context.span_id(),
            span_context.trace_flags(),
        )
    }

    /// Reads the value of a `traceparent` header, as the [module](super) describes.
    ///
    /// Allocates nothing and looks at no more than 55 bytes and the white space around them.
    ///
    /// # Errors
    ///
    /// If the value is not legal; the error names the first field that is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, ParseTraceParentError> {
        Self::parse_fields(white_space::trim(value)).map_err(ParseTraceParentError::new)
    }

    /// The id of the trace, never all zeros.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The id of the span that is the parent, never all zeros. W3C calls it `parent-id`, OpenTelemetry span id.
    #[must_use]
    pub const fn parent_id(&self) -> SpanId {
        self.parent_id
    }

    /// The flags: *sampled* and [random](RANDOM), and never another bit.
    #[must_use]
    pub const fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// Whether the caller may have recorded the trace
    /// ([§3.2.2.5.1](https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#sampled-flag)).
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags.is_sampled()
    }

    /// Whether the low 56 bits of the trace id are known to be [random](RANDOM).
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.flags & RANDOM == RANDOM
    }

    /// The header's value, always as version `00`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; hex::BYTES];
        bytes[..16].copy_from_slice(&self.trace_id.to_bytes());
        bytes[16..].copy_from_slice(&self.parent_id.to_bytes());
        let digits = hex::encode(&bytes);
        let mut value = *b"00-________________________________-________________-__";
        value[TRACE_ID].copy_from_slice(&digits[..32]);
        value[PARENT_ID].copy_from_slice(&digits[32..]);
        value[FLAGS].copy_from_slice(&hex::encode_byte(self.flags.to_u8()));
        value
    }

    /// The remote span context that this parent and the request's `trace_state` make.
    #[must_use]
    pub fn into_span_context(self, trace_state: TraceState) -> SpanContext {
        SpanContext::new(self.trace_id, self.parent_id, self.flags, true, trace_state)
    }

    fn parse_fields(value: &[u8]) -> Result<Self, Kind> {
        let (fields, rest) = value.split_first_chunk::<LENGTH>().ok_or(Kind::Length)?;
        let version = [fields[0], fields[1]];
        let version = hex::decode_byte(version).ok_or(Kind::Version)?;
        match (version, rest) {
            (0xff, _) => return Err(Kind::Version),
            (0x00, [_, ..]) => return Err(Kind::Length),
            (_, []) | (_, [b'-', ..]) => {}
            _ => return Err(Kind::Separator),
        }
        if [fields[2], fields[35], fields[52]] != [b'-'; 3] {
            return Err(Kind::Separator);
        }
        let mut digits = [0; hex::DIGITS];
        digits[..32].copy_from_slice(&fields[TRACE_ID]);
        digits[32..].copy_from_slice(&fields[PARENT_ID]);
        let ids = hex::decode(&digits).ok_or_else(|| {
            if hex::are_digits(&fields[TRACE_ID]) {
                Kind::ParentId
            } else {
                Kind::TraceId
            }
        })?;
        let flags = hex::decode_byte([fields[53], fields[54]]).ok_or(Kind::Flags)?;
        let mut trace_id = [0; 16];
        trace_id.copy_from_slice(&ids[..16]);
        let mut parent_id = [0; 8];
        parent_id.copy_from_slice(&ids[16..]);
        if trace_id == [0; 16] {
            return Err(Kind::TraceId);
        }
        if parent_id == [0; 8] {
            return Err(Kind::ParentId);
        }
        Ok(Self {
            trace_id: TraceId::from_bytes(trace_id),
            parent_id: SpanId::from_bytes(parent_id),
            flags: TraceFlags::new(flags) & KNOWN_FLAGS,
        })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits and dashes: the conversion cannot fail.
        f.pad(std::str::from_utf8(&self.to_bytes()).unwrap_or_default())
    }
}

/// Reads what [`parse`](TraceParent::parse) reads.
impl FromStr for TraceParent {
    type Err = ParseTraceParentError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Self::parse(value.as_bytes())
    }
}

/// One allocation, of 55 bytes.
impl From<TraceParent> for HeaderValue {
    fn from(parent: TraceParent) -> Self {
        Self::from_bytes(&parent.to_bytes()).expect("digits and dashes are legal in a header value")
    }
}

/// What a `traceparent` of version `00` measures in bytes, and at least one of any later version.
const LENGTH: usize = 55;
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;
/// *sampled* and *random*. All other bits must be sent as zero
/// ([§3.2.2.5.3](https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#other-flags)).
const KNOWN_FLAGS: TraceFlags = TraceFlags::new(0x03);
