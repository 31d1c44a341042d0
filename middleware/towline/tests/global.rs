//! OpenTelemetry's global provider and propagator, alone in their process.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SimpleSpanProcessor};
use towline::{Environment, Rate, Towline};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn both_are_installed_on_request_and_off_leaves_the_no_op_provider() {
    let incoming = HashMap::from([("traceparent".to_owned(), TRACEPARENT.to_owned())]);
    let passed_on = || {
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&incoming));
        let span = global::tracer("test").start_with_context("span", &parent);
        let mut outgoing = HashMap::new();
        let cx = parent.with_span(span);
        global::get_text_map_propagator(|propagator| propagator.inject_context(&cx, &mut outgoing));
        outgoing.remove("traceparent")
    };
    assert_eq!(passed_on(), None);

    Towline::off().install_global();
    assert_eq!(passed_on().as_deref(), Some(TRACEPARENT));

    let seen = InMemorySpanExporter::default();
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_sampling_rate(Rate::ALWAYS)
        .with_span_processor(SimpleSpanProcessor::new(seen.clone()))
        .build()
        .unwrap();
    tracing.install_global();
    let sent = passed_on().unwrap();
    let spans = seen.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 1);
    assert!(
        sent.contains(&spans[0].span_context.span_id().to_string()),
        "{sent}"
    );
}
