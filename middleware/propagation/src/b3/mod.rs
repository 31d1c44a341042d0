//! B3, the format of Zipkin, in one header or in several, through `opentelemetry-propagator-b3`.
//!
//! Both forms are read, the single header first, whatever is written. The format is that of the [B3 specification],
//! what to do with it is said by [OpenTelemetry's].
//!
//! # What is accepted
//!
//! | input | answer |
//! |---|---|
//! | a legal `b3` | it is the parent; the other headers are not read |
//! | an illegal `b3`, or none | the parent is that of `x-b3-traceid` and `x-b3-spanid` |
//! | a trace id of 16 digits | padded with zeros at the left |
//! | ids of another length, of zeros only, or with upper-case digits | no parent |
//! | state `1`, and `true` in `x-b3-sampled` | sampled |
//! | state `0`, and `false` in `x-b3-sampled` | not sampled |
//! | state `d`, and `x-b3-flags: 1` | sampled, and passed on as `d` along the whole trace; other `x-b3-flags` are ignored |
//! | no state: the decision is left to the receiver | not sampled, as in all of OpenTelemetry, unless another format says so of the same trace; passed on without a state as long as there is no span of ours |
//! | any other state | no parent |
//! | state `0` alone, without ids | not sampled: a parent with ids made up for it, unless another format has named one |
//! | state `1` or `d` alone | nothing: there is no trace to follow, and a root is sampled by its own rate |
//! | the id of the parent's parent | checked in `b3`, ignored elsewhere |
//! | a header for the second time | the first one stands, as the specification says |
//! | spaces and tabs around a value | ignored |
//!
//! # What is sent
//!
//! Ids, of 32 and 16 digits, and the state; nothing for a context without a span. The id of the parent's parent is
//! never sent, as OpenTelemetry demands.
//!
//! # What is done around the crate
//!
//! `opentelemetry-propagator-b3` 0.33 takes `+` for a digit, `x-b3-flags: 0` for a decision and a trailing dash for
//! none; it marks undecided traces by the flag that level 2 of W3C Trace Context has for random trace ids, so that it
//! would send every trace of ours undecided; it does not sample what is marked `d`; it writes the several headers also where
//! it was asked for one; and it sends `0` for contexts
//! without a span, which would forbid the next hop to trace. So it is given legal headers only, and flags that mean the
//! same to it.
//!
//! [B3 specification]: https://github.com/openzipkin/b3-propagation/blob/1237f0b2676173085d5398faa5292b8bee78e5a8/README.md
//! [OpenTelemetry's]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/context/api-propagators.md#b3-requirements

mod incoming;
mod propagator;

use http::{HeaderMap, header::HeaderName};

use crate::{Extraction, text_map};

pub use propagator::B3Propagator;

use incoming::Reading;

/// Reads the headers of a message, on top of what other formats have found.
pub(crate) fn extract(headers: &HeaderMap, extraction: &mut Extraction) {
    match incoming::read(&text_map::Incoming(headers)) {
        Reading::Parent(named) => named.set_on(extraction),
        Reading::Deny => {
            if !extraction.parent_span_context().is_valid() {
                incoming::denied().set_on(extraction);
            }
        }
        Reading::Illegal => extraction.rejected.b3 = true,
        Reading::Nothing => {}
    }
}

/// Whether there is anything to read.
pub(crate) fn is_present(headers: &HeaderMap) -> bool {
    [SINGLE, TRACE_ID, SAMPLED]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// Removes what a proxy may have copied from its caller: the other form of B3 would outlive what is written now.
pub(crate) fn clear(headers: &mut HeaderMap) {
    for name in ALL {
        headers.remove(name);
    }
}

/// All headers of both forms.
pub(crate) const ALL: [HeaderName; 6] = [SINGLE, TRACE_ID, SPAN_ID, SAMPLED, FLAGS, PARENT_SPAN_ID];

const SINGLE: HeaderName = HeaderName::from_static("b3");
const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");
const PARENT_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
