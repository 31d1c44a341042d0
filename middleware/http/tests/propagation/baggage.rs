//! Baggage is carried as far as the trace.

use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Context, KeyValue};
use towline_http::{client, server};
use towline_propagation::Propagator;
use towline_test_support::{Caller, TestTracing};

use crate::{inside, silent};

#[test]
fn a_server_hands_the_caller_s_to_what_is_inside() {
    let [off, shut_down] = silent();
    for tracing in [TestTracing::always(), TestTracing::never(), off, shut_down] {
        let seen = inside(
            server::TraceLayer::from_spans(tracing.spans()),
            &[("baggage", "tenant=acme"), ("baggage", "user=ada;secret")],
        );
        let baggage = seen.context.baggage();
        let value = |key| baggage.get(key).map(|value| value.as_str());
        assert_eq!(
            (value("tenant"), value("user")),
            (Some("acme"), Some("ada"))
        );
    }
}

#[test]
fn members_that_are_malformed_are_left_out() {
    let seen = inside(
        server::TraceLayer::from_spans(TestTracing::always().spans()),
        &[("baggage", "tenant=acme,garbage,=none")],
    );
    assert_eq!(seen.context.baggage().len(), 1);
}

#[test]
fn a_client_sends_what_is_current_in_place_of_what_was_copied() {
    let [off, shut_down] = silent();
    for tracing in [TestTracing::always(), TestTracing::never(), off, shut_down] {
        let attached = Context::current_with_baggage([KeyValue::new("tenant", "acme")]).attach();
        let seen = inside(
            client::TraceLayer::from_spans(tracing.spans()),
            &[("baggage", "stale=1"), ("baggage", "stale=2")],
        );
        drop(attached);
        assert_eq!(seen.header("baggage"), Some("tenant=acme"));
    }
}

#[test]
fn a_context_without_baggage_leaves_the_user_s_header_alone() {
    for tracing in [TestTracing::always(), TestTracing::off()] {
        let layer = client::TraceLayer::from_spans(tracing.spans());
        let seen = inside(layer, &[("baggage", "mine=1")]);
        assert_eq!(seen.header("baggage"), Some("mine=1"));
    }
}

#[test]
fn trace_context_alone_reads_and_writes_no_baggage() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let layer = server::TraceLayer::from_spans(tracing.spans())
        .with_propagator(Propagator::trace_context());
    let seen = inside(
        layer,
        &[
            ("traceparent", &caller.traceparent()),
            ("baggage", "tenant=acme"),
        ],
    );
    assert_eq!(seen.context.baggage().len(), 0);
    assert_eq!(seen.current().trace_id(), caller.span_context().trace_id());

    let layer = client::TraceLayer::from_spans(tracing.spans())
        .with_propagator(Propagator::trace_context());
    let attached = Context::current_with_baggage([KeyValue::new("tenant", "acme")]).attach();
    let seen = inside(layer, &[]);
    drop(attached);
    assert!(seen.header("traceparent").is_some());
    assert_eq!(seen.header("baggage"), None);
}
