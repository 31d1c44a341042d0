//! A caller's context from a server through to the client inside of it: a reverse proxy.

use opentelemetry::trace::SpanContext;
use towline_http::{Trace, client, server};
use towline_test_support::{Caller, TestTracing, assert_child_of};

use crate::{Inside, callers, inside_of, silent, traceparent};

/// What reaches the upstream of a proxy that copies its caller's headers.
fn upstream(tracing: &TestTracing, headers: &[(&str, &str)]) -> Inside {
    let server = server::TraceLayer::from_spans(tracing.spans());
    let client = client::TraceLayer::from_spans(tracing.spans());
    inside_of(
        |upstream| Trace::new(Trace::new(upstream, client), server),
        headers,
    )
}

/// The span context that a `traceparent` stands for, as far as it shows.
fn parts(context: &SpanContext) -> (String, bool) {
    (context.trace_id().to_string(), context.is_sampled())
}

#[test]
fn each_hop_is_the_parent_of_the_next() {
    let (tracing, caller) = (TestTracing::never(), Caller::sampled());
    let seen = upstream(&tracing, &[("traceparent", &caller.traceparent())]);
    let [client, server] = <[_; 2]>::try_from(tracing.finished()).unwrap();
    assert_child_of(&server, &caller.span_context());
    assert_child_of(&client, &server.span_context);
    let sent = traceparent(&client.span_context);
    assert_eq!(seen.header("traceparent"), Some(&*sent));
}

#[test]
fn the_trace_and_its_flags_go_through_whatever_is_recorded() {
    let [off, shut_down] = silent();
    for tracing in [TestTracing::always(), TestTracing::never(), off, shut_down] {
        for caller in callers() {
            let caller = caller.with_tracestate("congo", "1");
            let seen = upstream(
                &tracing,
                &[
                    ("traceparent", &caller.traceparent()),
                    ("tracestate", &caller.tracestate()),
                    ("baggage", "tenant=acme"),
                ],
            );
            assert_eq!(parts(&seen.current()), parts(&caller.span_context()));
            let sent = traceparent(&seen.current());
            assert_eq!(seen.header("traceparent"), Some(&*sent));
            assert_eq!(seen.header("tracestate"), Some("congo=1"));
            assert_eq!(seen.header("baggage"), Some("tenant=acme"));
        }
    }
}

#[test]
fn a_switched_off_proxy_sends_what_it_was_sent() {
    let caller = Caller::sampled().with_random_flag();
    let seen = upstream(
        &TestTracing::off(),
        &[("traceparent", &caller.traceparent())],
    );
    assert_eq!(seen.header("traceparent"), Some(&*caller.traceparent()));
}

#[test]
fn members_of_tracestate_that_the_api_cannot_hold_go_through() {
    let [off, _] = silent();
    for tracing in [TestTracing::always(), TestTracing::never(), off] {
        for caller in [Caller::sampled(), Caller::not_sampled()] {
            let seen = upstream(
                &tracing,
                &[
                    ("traceparent", &caller.traceparent()),
                    ("tracestate", "level-2@@key=1"),
                    ("tracestate", "congo=2"),
                ],
            );
            let sent = seen.header("tracestate").unwrap();
            assert!(
                sent.contains("level-2@@key=1") && sent.contains("congo=2"),
                "{sent}"
            );
        }
    }
}

#[test]
fn a_caller_that_is_malformed_costs_the_trace_and_not_the_request() {
    let seen = upstream(
        &TestTracing::always(),
        &[
            ("traceparent", "garbage"),
            ("traceparent", "garbage"),
            ("tracestate", "congo=1"),
        ],
    );
    let sent = traceparent(&seen.current());
    assert_eq!(seen.header("traceparent"), Some(&*sent));
    assert_eq!(seen.header("tracestate"), None);
}
