//! All values of one field of a carrier.

use opentelemetry::propagation::Extractor;

/// The values of `field`, in order. Carriers that only answer `get` have at most one.
pub(crate) fn lines<'a>(extractor: &'a dyn Extractor, field: &str) -> Vec<&'a str> {
    match extractor.get_all(field) {
        Some(lines) if !lines.is_empty() => lines,
        _ => extractor.get(field).into_iter().collect(),
    }
}
