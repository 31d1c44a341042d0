//! Off means that nothing is recorded; a trace that others record is not cut.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use towline_http::{Begin, client, server};
use towline_test_support::{Caller, TestTracing, assert_child_of};

use crate::{callers, inside, request, traceparent};

fn server(tracing: &TestTracing) -> server::TraceLayer<opentelemetry_sdk::trace::SdkTracer> {
    server::TraceLayer::from_spans(tracing.spans())
}

fn client(tracing: &TestTracing) -> client::TraceLayer<opentelemetry_sdk::trace::SdkTracer> {
    client::TraceLayer::from_spans(tracing.spans())
}

#[test]
fn a_server_without_a_caller_has_nothing_to_do() {
    let tracing = TestTracing::off();
    let seen = inside(server(&tracing), &[("accept", "*/*")]);
    tracing.assert_none();
    assert!(!seen.context.has_active_span());
    assert!(server(&tracing).begin(&mut request(&[])).is_none());
}

#[test]
fn a_server_hands_its_caller_to_the_clients_inside() {
    for caller in callers() {
        let tracing = TestTracing::off();
        let caller = caller.with_tracestate("congo", "1");
        let seen = inside(
            server(&tracing),
            &[
                ("traceparent", &caller.traceparent()),
                ("tracestate", &caller.tracestate()),
            ],
        );
        tracing.assert_none();
        assert_eq!(seen.current(), caller.span_context());
        assert!(seen.current().is_remote());
    }
}

#[test]
fn a_server_makes_nothing_of_a_caller_that_is_malformed() {
    let tracing = TestTracing::off();
    for line in ["garbage", ""] {
        let seen = inside(server(&tracing), &[("traceparent", line)]);
        assert!(!seen.context.has_active_span());
    }
    tracing.assert_none();
}

#[test]
fn a_client_sends_the_context_that_is_current() {
    let tracing = TestTracing::off();
    let caller = Caller::sampled()
        .with_random_flag()
        .with_tracestate("congo", "1");
    let attached = caller.context().attach();
    let seen = inside(
        client(&tracing),
        &[
            ("traceparent", "stale"),
            ("traceparent", "stale"),
            ("tracestate", "stale=1"),
        ],
    );
    drop(attached);
    tracing.assert_none();
    assert_eq!(seen.header("traceparent"), Some(&*caller.traceparent()));
    assert_eq!(seen.header("tracestate"), Some("congo=1"));
    assert_eq!(seen.current(), caller.span_context());
}

#[test]
fn a_client_without_a_context_leaves_the_headers_alone() {
    let tracing = TestTracing::off();
    let caller = Caller::sampled().traceparent();
    let headers = [
        ("traceparent", &*caller),
        ("tracestate", "congo=1"),
        ("baggage", "tenant=acme"),
    ];
    let seen = inside(client(&tracing), &headers);
    for (name, value) in headers {
        assert_eq!(seen.header(name), Some(value));
    }
    let seen = inside(client(&tracing), &[]);
    assert!(seen.headers.is_empty());
    tracing.assert_none();
}

#[test]
fn switched_on_again_the_next_request_is_recorded() {
    let (tracing, caller) = (TestTracing::off(), Caller::sampled());
    let (server, client) = (server(&tracing), client(&tracing));
    let headers = [("traceparent", &*caller.traceparent())];
    inside(server.clone(), &headers);
    inside(client.clone(), &[]);
    tracing.assert_none();

    tracing.control().set_enabled(true);
    let seen = inside(server.clone(), &headers);
    assert_child_of(&tracing.only(), &caller.span_context());
    assert!(seen.current().is_sampled());
    tracing.reset();
    let seen = inside(client.clone(), &[]);
    let sent = seen.header("traceparent").map(str::to_owned);
    assert_eq!(sent, Some(traceparent(&seen.current())));
    assert_eq!(tracing.finished().len(), 1);

    tracing.control().set_enabled(false);
    tracing.reset();
    inside(server, &headers);
    inside(client, &[]);
    tracing.assert_none();
}

#[test]
fn a_request_that_was_under_way_when_it_was_switched_off_is_recorded_to_its_end() {
    use std::future::ready;
    use std::task::{Context as TaskContext, Waker};

    use http::{Request, Response};
    use tower::{Layer, Service, service_fn};

    let tracing = TestTracing::always();
    let service = service_fn(|_request: Request<()>| {
        let body = http_body_util::Full::<bytes::Bytes>::from("text");
        ready(Ok::<_, std::convert::Infallible>(Response::new(body)))
    });
    let mut service = server(&tracing).layer(service);
    let mut future = Box::pin(service.call(Request::new(())));
    tracing.control().set_enabled(false);
    let mut cx = TaskContext::from_waker(Waker::noop());
    drop(future.as_mut().poll(&mut cx));
    assert_eq!(tracing.only().name, "GET");
}

#[test]
fn within_suppressed_telemetry_nothing_is_recorded_either() {
    let (tracing, caller) = (TestTracing::always(), Caller::sampled());
    let suppressed = Context::enter_telemetry_suppressed_scope();
    let line = caller.traceparent();
    let seen = inside(server(&tracing), &[("traceparent", &line)]);
    assert_eq!(seen.current(), caller.span_context());
    assert!(seen.context.is_telemetry_suppressed());
    let seen = inside(client(&tracing), &[]);
    assert_eq!(seen.header("traceparent"), None);
    drop(suppressed);
    tracing.assert_none();
}
