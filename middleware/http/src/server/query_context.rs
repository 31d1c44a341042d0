//! The caller's context in the query of the target.

use http::Uri;
use opentelemetry::trace::TraceContextExt;
use towline_propagation::{Extraction, query};

/// Whether the query has something to say, legal or not.
pub(super) fn is_present(target: &Uri) -> bool {
    target.query().is_some_and(query::is_present)
}

/// Fills in the parent from the query where the headers have named none.
pub(super) fn fall_back(target: &Uri, extraction: &mut Extraction) {
    let Some(text) = target.query() else { return };
    // A propagator that is not ours has put the parent into the context itself.
    if extraction.parent.is_some() || extraction.base.span().span_context().is_remote() {
        return;
    }
    let found = query::extract(text, &extraction.base);
    if found.parent.is_some() {
        extraction.parent = found.parent;
        extraction.base = found.base;
    }
}
