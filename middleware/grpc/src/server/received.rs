use http::HeaderMap;
use opentelemetry::Context;
use towline_http::trust::CallerHeaders;
use towline_propagation::{Extraction, Propagator};

use crate::trace_bin;

/// The metadata that carries the context of a caller.
pub(super) struct Metadata<'a> {
    pub(super) propagator: &'a Propagator,
    /// Whether OpenCensus' binary form counts where there is nothing else.
    pub(super) grpc_trace_bin: bool,
}

impl Metadata<'_> {
    /// Whether a caller has sent any.
    pub(super) fn is_present(&self, headers: &HeaderMap) -> bool {
        self.propagator.fields_present(headers)
            || (self.grpc_trace_bin && headers.contains_key(trace_bin::GRPC_TRACE_BIN))
    }
}

impl CallerHeaders for Metadata<'_> {
    fn extract(&self, headers: &HeaderMap, base: &Context) -> Extraction {
        let mut extraction = self.propagator.extract(headers, base);
        if self.grpc_trace_bin {
            trace_bin::fall_back(headers, &mut extraction);
        }
        extraction
    }

    fn remove_trace_context(&self, headers: &mut HeaderMap) {
        self.propagator.remove_trace_context(headers);
        // A server behind may read it, whether we do or not.
        headers.remove(trace_bin::GRPC_TRACE_BIN);
    }

    fn remove_baggage(&self, headers: &mut HeaderMap) {
        self.propagator.remove_baggage(headers);
    }
}
