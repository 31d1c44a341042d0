//! Spans counted by their ids.

use std::collections::HashMap;

use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

/// How often each span was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    counts: HashMap<SpanId, usize>,
}

/// The spans of a request in the order in which they stand there, whatever their resource and
/// scope.
pub fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
}

/// The id of a span that came over the wire; [`SpanId::INVALID`] where it is not eight bytes.
#[must_use]
pub fn id_of(span: &Span) -> SpanId {
    let bytes = <[u8; 8]>::try_from(span.span_id.as_slice());
    bytes.map_or(SpanId::INVALID, SpanId::from_bytes)
}

// === impl Tally ===

impl Tally {
    pub(crate) fn add(&mut self, id: SpanId) {
        *self.counts.entry(id).or_default() += 1;
    }

    pub(crate) const fn counts(&self) -> &HashMap<SpanId, usize> {
        &self.counts
    }
}
