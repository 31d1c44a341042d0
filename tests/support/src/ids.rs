use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

/// Makes trace ids that every rate but 0 samples, as roots of a rate between never and always need
/// in a test. All are the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampledIds;

impl IdGenerator for SampledIds {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::MAX)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(7)
    }
}
