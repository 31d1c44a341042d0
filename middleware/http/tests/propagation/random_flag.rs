//! The random flag of W3C Trace Context level 2: set on roots of our own, kept on others' traces.

use opentelemetry::trace::TraceFlags;
use towline_http::{client, server};
use towline_test_support::TestTracing;

use crate::{callers, inside};

const RANDOM: TraceFlags = TraceFlags::new(0x02);

#[test]
fn a_root_has_it_on_either_side_recorded_or_not() {
    for (tracing, flags) in [
        (TestTracing::always(), TraceFlags::new(3)),
        (TestTracing::never(), TraceFlags::new(2)),
    ] {
        let seen = inside(server::TraceLayer::from_spans(tracing.spans()), &[]);
        assert_eq!(seen.current().trace_flags(), flags);
        let seen = inside(client::TraceLayer::from_spans(tracing.spans()), &[]);
        assert_eq!(seen.current().trace_flags(), flags);
        let sent = seen.header("traceparent").unwrap();
        assert!(sent.ends_with(&format!("-{flags:02x}")), "{sent}");
    }
}

#[test]
fn a_root_of_other_ids_has_it_not() {
    for tracing in [TestTracing::always(), TestTracing::never()] {
        let server = server::TraceLayer::from_spans(tracing.spans()).with_random_trace_ids(false);
        let client = client::TraceLayer::from_spans(tracing.spans()).with_random_trace_ids(false);
        for seen in [inside(server, &[]), inside(client, &[])] {
            assert!(seen.current().is_valid());
            assert_eq!(seen.current().trace_flags() & RANDOM, TraceFlags::default());
        }
    }
}

#[test]
fn a_child_has_it_if_its_parent_has() {
    for caller in callers() {
        let (tracing, sent) = (TestTracing::always(), caller.span_context().trace_flags());
        let line = caller.traceparent();
        let layer = server::TraceLayer::from_spans(tracing.spans());
        let seen = inside(layer, &[("traceparent", &line)]);
        assert_eq!(seen.current().trace_flags(), sent, "{line}");

        let attached = caller.context().attach();
        let seen = inside(client::TraceLayer::from_spans(tracing.spans()), &[]);
        drop(attached);
        assert_eq!(seen.current().trace_flags(), sent, "{line}");
        let written = seen.header("traceparent").unwrap();
        assert_eq!(written.split('-').next_back(), line.split('-').next_back());
    }
}
