//! Spans that are one trace.

use opentelemetry::trace::{SpanId, SpanKind};
use towline_test_support::{TestTracing, assert_child_of};

/// That these spans are all, each under the one before it.
#[track_caller]
pub fn assert_chain(tracing: &TestTracing, expected: &[(SpanKind, &str)]) {
    let finished = tracing.finished();
    assert_eq!(finished.len(), expected.len());
    let root = finished
        .iter()
        .find(|span| span.parent_span_id == SpanId::INVALID);
    let mut parent = root.expect("there is a root").clone();
    for (place, (kind, name)) in expected.iter().enumerate() {
        if place > 0 {
            let child = finished
                .iter()
                .find(|span| span.parent_span_id == parent.span_context.span_id());
            let child = child.expect("there is a child").clone();
            assert_child_of(&child, &parent.span_context);
            parent = child;
        }
        assert_eq!(
            (&parent.span_kind, &*parent.name),
            (kind, *name),
            "span {place}"
        );
    }
}
