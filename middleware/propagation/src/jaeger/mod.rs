//! Jaeger's own format: `uber-trace-id`, and a header `uberctx-…` for each entry of the baggage.
//!
//! It is that of the [clients of Jaeger], which are retired; services that still use them understand nothing else.
//!
//! # What is accepted
//!
//! | input | answer |
//! |---|---|
//! | `{trace-id}:{span-id}:{parent-span-id}:{flags}` | the parent; the id of the parent's parent is checked and ignored |
//! | the same with `%3A` for the colons | the same: some clients encode the value |
//! | ids of fewer digits than 32 and 16 | padded with zeros at the left |
//! | upper-case digits | accepted |
//! | ids of more digits, or of zeros only | no parent |
//! | flags of one or two digits: bit 1 | sampled, if it is set |
//! | bit 2, beside bit 1 | to be debugged: passed on along the whole trace, as `d` in B3 as well |
//! | other bits | ignored |
//! | any other value, or two of the headers, equal or not | no parent |
//! | `uberctx-{key}` | an entry of the baggage, percent-decoded, beside those that the context has |
//! | a key that is no token, or an entry beyond the [limits](crate::baggage) of W3C Baggage | that entry is left out |
//!
//! # What is sent
//!
//! Ids of 32 and 16 digits, `0` for the id of the parent's parent, and the flags as one digit. Beside them the baggage,
//! percent-encoded, without the metadata of its entries, for which there is no place.
//!
//! [clients of Jaeger]: https://www.jaegertracing.io/docs/1.62/client-libraries/#propagation-format

mod entries;
mod propagator;
mod value;

use std::ptr;

use http::{HeaderMap, HeaderName};
use opentelemetry::{Context, baggage::BaggageExt};

use crate::Extraction;

pub use propagator::JaegerPropagator;

/// The name of the header that names the parent.
pub const UBER_TRACE_ID: HeaderName = HeaderName::from_static("uber-trace-id");

/// What the names of the headers begin with that hold an entry of the baggage each.
pub const BAGGAGE_PREFIX: &str = "uberctx-";

/// Reads the headers of a message, on top of what other formats have found.
pub(crate) fn extract(headers: &HeaderMap, extraction: &mut Extraction) {
    let mut lines = headers.get_all(UBER_TRACE_ID).iter();
    if let Some(line) = lines.next() {
        match value::parse(line.as_bytes()) {
            Some(named) if lines.next().is_none() => named.set_on(extraction),
            _ => extraction.rejected.jaeger = true,
        }
    }
    let lines = entry_names(headers)
        .filter_map(|name| Some((name.as_str(), headers.get(name)?.to_str().ok()?)));
    if let Some(cx) = entries::read(lines, &extraction.base) {
        extraction.base = cx;
    }
}

/// Whether there is anything to read.
pub(crate) fn is_present(headers: &HeaderMap) -> bool {
    headers.contains_key(UBER_TRACE_ID) || entry_names(headers).next().is_some()
}

/// Removes the entries that a proxy may have copied from its caller, if `cx` has baggage of its own: what is no longer
/// in it would outlive it.
pub(crate) fn clear(cx: &Context, headers: &mut HeaderMap) {
    // The API lends one and the same empty value wherever there is none.
    if ptr::eq(cx.baggage(), Context::new().baggage()) {
        return;
    }
    let names: Vec<HeaderName> = entry_names(headers).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Takes the headers of the baggage out.
pub(crate) fn remove_baggage(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = entry_names(headers).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn entry_names(headers: &HeaderMap) -> impl Iterator<Item = &HeaderName> {
    headers
        .keys()
        .filter(|name| name.as_str().starts_with(BAGGAGE_PREFIX))
}
