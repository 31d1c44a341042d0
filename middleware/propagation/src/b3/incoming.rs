//! The incoming side: only what is legal reaches the parser.

use std::sync::LazyLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanId, TraceContextExt, TraceFlags, TraceId},
};
use opentelemetry_propagator_b3::{B3Encoding, Propagator};

use super::{FLAGS, SAMPLED, SINGLE, SPAN_ID, TRACE_ID};
use crate::{named::Named, remark::Remark, text_map::NO_TEXT, traceparent::RANDOM};

/// What the headers of a message come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Parent(Named),
    /// The trace is not to be sampled, whichever it is.
    Deny,
    /// There was something, and it was illegal.
    Illegal,
    Nothing,
}

pub(super) fn read(extractor: &dyn Extractor) -> Reading {
    let fields = Fields::of(extractor);
    if fields.is_empty() {
        return Reading::Nothing;
    }
    // It comes before the other headers, but the parser goes on to them for want of ids.
    if fields.single == Some("0") {
        return Reading::Deny;
    }
    let cx = PARSER.extract_with_context(&Context::new(), &fields);
    let span = cx.span();
    let parent = span.span_context();
    if !parent.is_valid() {
        return fields.without_ids();
    }
    let (trace_id, span_id) = (parent.trace_id(), parent.span_id());
    let flags = parent.trace_flags();
    let is_debug = flags & DEBUG == DEBUG;
    Reading::Parent(Named {
        trace_id,
        span_id,
        flags: TraceFlags::default().with_sampled(flags.is_sampled() || is_debug),
        remark: if is_debug {
            Some(Remark::Debug(trace_id))
        } else if flags & DEFERRED == DEFERRED {
            Some(Remark::Deferred(trace_id, span_id))
        } else {
            None
        },
    })
}

/// A parent that is not sampled, for a trace that nobody has named.
pub(super) fn denied() -> Named {
    Named {
        trace_id: TraceId::from(fastrand::u128(1..)),
        span_id: SpanId::from(fastrand::u64(1..)),
        flags: RANDOM,
        remark: None,
    }
}

/// The headers that are legal, by themselves.
#[derive(Clone, Copy, Debug, Default)]
struct Fields<'a> {
    single: Option<&'a str>,
    trace_id: Option<&'a str>,
    span_id: Option<&'a str>,
    sampled: Option<&'a str>,
    flags: Option<&'a str>,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    fn of(extractor: &'a dyn Extractor) -> Self {
        // Of several values the first one counts.
        let get = |name: &str| Some(extractor.get(name)?.trim_matches([' ', '\t']));
        let id = |name: &str| get(name).map(|id| if is_digits(id, 32) { id } else { NO_TEXT });
        let single = get(SINGLE.as_str());
        Self {
            single: single.map(|text| if is_single(text) { text } else { NO_TEXT }),
            trace_id: id(TRACE_ID.as_str()),
            span_id: id(SPAN_ID.as_str()),
            sampled: get(SAMPLED.as_str()).map(|state| match state {
                "0" | "false" => "0",
                "1" | "true" => "1",
                _ => NO_TEXT,
            }),
            // Only one value means anything.
            flags: get(FLAGS.as_str()).filter(|flags| *flags == "1"),
        }
    }

    fn is_empty(&self) -> bool {
        self.single.is_none()
            && self.trace_id.is_none()
            && self.span_id.is_none()
            && self.sampled.is_none()
    }

    /// What is left to say if there are no legal ids.
    fn without_ids(&self) -> Reading {
        match self.single {
            Some("1" | "d") => Reading::Nothing,
            Some(_) => Reading::Illegal,
            None if self.trace_id.is_some() || self.span_id.is_some() => Reading::Illegal,
            None => match self.sampled {
                // What is to be debugged is not denied.
                Some("0") if self.flags.is_none() => Reading::Deny,
                Some(NO_TEXT) => Reading::Illegal,
                _ => Reading::Nothing,
            },
        }
    }
}

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        [
            (SINGLE, self.single),
            (TRACE_ID, self.trace_id),
            (SPAN_ID, self.span_id),
            (SAMPLED, self.sampled),
            (FLAGS, self.flags),
        ]
        .into_iter()
        .find_map(|(name, value)| (name == key).then_some(value)?)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Digits between dashes, no more than there can be.
fn is_single(text: &str) -> bool {
    text.len() <= MAX_SINGLE_BYTES && text.split('-').all(|part| is_digits(part, 32))
}

/// Lower-case hexadecimal.
fn is_digits(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The form that takes both encodings.
static PARSER: LazyLock<Propagator> =
    LazyLock::new(|| Propagator::with_encoding(B3Encoding::SingleAndMultiHeader));

/// Two ids, the state, the id of the parent, and the dashes between them.
const MAX_SINGLE_BYTES: usize = 32 + 1 + 16 + 1 + 1 + 1 + 16;

/// How the crate marks what is left to the receiver, and what is to be debugged.
pub(super) const DEFERRED: TraceFlags = TraceFlags::new(0x02);
pub(super) const DEBUG: TraceFlags = TraceFlags::new(0x04);
