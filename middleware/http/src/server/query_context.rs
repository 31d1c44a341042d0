//! The caller's context in the headers and, if asked for, in the query of the target.

use std::cell::Cell;

use http::{HeaderMap, Uri};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use towline_propagation::{Extraction, Propagator, query};

use crate::trust::CallerHeaders;

/// Where a request says what it belongs to.
pub(super) struct RequestContext<'a> {
    propagator: &'a Propagator,
    /// The target, if its query has something to say.
    target: Option<Uri>,
    /// Whether that counts.
    is_believed: Cell<bool>,
}

// === impl RequestContext ===

impl<'a> RequestContext<'a> {
    pub(super) fn new(propagator: &'a Propagator, with_query: bool, target: &Uri) -> Self {
        let is_present = with_query && target.query().is_some_and(query::is_present);
        Self {
            propagator,
            target: is_present.then(|| target.clone()),
            is_believed: Cell::new(true),
        }
    }

    /// Whether it has anything to say, legal or not.
    pub(super) fn is_present(&self, headers: &HeaderMap) -> bool {
        self.target.is_some() || self.propagator.fields_present(headers)
    }
}

impl CallerHeaders for RequestContext<'_> {
    fn extract(&self, headers: &HeaderMap, base: &Context) -> Extraction {
        let mut extraction = self.propagator.extract(headers, base);
        if let Some(target) = &self.target
            && self.is_believed.get()
        {
            fall_back(target, &mut extraction);
        }
        extraction
    }

    /// The query stays as it is, since a request's target is not ours to change; it is not read again.
    fn remove_trace_context(&self, headers: &mut HeaderMap) {
        self.propagator.remove_trace_context(headers);
        self.is_believed.set(false);
    }

    fn remove_baggage(&self, headers: &mut HeaderMap) {
        self.propagator.remove_baggage(headers);
    }
}

/// Fills in the parent from the query where the headers have named none.
fn fall_back(target: &Uri, extraction: &mut Extraction) {
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
