//! Callers who are believed in part or not at all, and calls that get no span.

use http::HeaderMap;
use towline_http::{Filter, Filters, SampledFlag, Trust};

use super::*;

/// The headers of a call as the service inside sees them, copied from there to a client's call.
fn passed_on(tracing: &TestTracing, layer: server::TraceLayer<SdkTracer>, path: &str) -> HeaderMap {
    let sent = std::cell::RefCell::new(HeaderMap::new());
    let service = service_fn(|request: Request<()>| {
        *sent.borrow_mut() = request.headers().clone();
        ok()
    });
    let service = client::TraceLayer::from_spans(tracing.spans()).layer(service);
    let request = Request::post(path)
        .header("traceparent", Caller::sampled().traceparent())
        .header("tracestate", "a=1")
        .header("baggage", "user=ada")
        .header("grpc-trace-bin", "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE")
        .header("x-other", "kept");
    drive(layer.layer(service), request.body(()).unwrap());
    sent.into_inner()
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

fn of_server(tracing: &TestTracing) -> SpanData {
    let mut spans = tracing.finished();
    spans.retain(|span| span.span_kind == SpanKind::Server);
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

#[test]
fn each_policy_takes_of_a_caller_what_it_believes() {
    let caller = Caller::sampled().span_context();
    for (trust, parent, links, left) in [
        (
            Trust::parent(),
            true,
            0,
            &[
                "baggage",
                "grpc-trace-bin",
                "traceparent",
                "tracestate",
                "x-other",
            ][..],
        ),
        (
            Trust::parent().with_baggage(false),
            true,
            0,
            &["grpc-trace-bin", "traceparent", "tracestate", "x-other"],
        ),
        (Trust::link(), false, 1, &["traceparent", "x-other"]),
        (Trust::ignore(), false, 0, &["traceparent", "x-other"]),
    ] {
        for trace_bin in [false, true] {
            let tracing = TestTracing::always();
            let mut layer =
                server::TraceLayer::from_spans(tracing.spans()).with_trust(trust.clone());
            if trace_bin {
                layer = layer.with_grpc_trace_bin();
            }
            let sent = passed_on(&tracing, layer, "/a.B/C");
            assert_eq!(names(&sent), left, "{trust:?}");
            let span = of_server(&tracing);
            if parent {
                assert_child_of(&span, &caller);
            } else {
                assert_root(&span);
            }
            assert_eq!(span.links.len(), links, "{trust:?}");
        }
    }
}

#[test]
fn a_caller_can_be_told_by_its_call_and_its_flag_not_count() {
    let tracing = TestTracing::never();
    let layer = server::TraceLayer::from_spans(tracing.spans()).with_trust_by(|call| {
        match call.uri.path() {
            "/known.B/C" => Trust::parent(),
            _ => Trust::parent().with_sampled(SampledFlag::Ignore),
        }
    });
    let sent = passed_on(&tracing, layer.clone(), "/a.B/C");
    assert!(sent["traceparent"].to_str().unwrap().ends_with("-00"));
    tracing.assert_none();
    passed_on(&tracing, layer, "/known.B/C");
    assert_child_of(&of_server(&tracing), &Caller::sampled().span_context());
}

#[test]
fn the_binary_form_is_linked_to_as_well() {
    let tracing = TestTracing::always();
    let layer = server::TraceLayer::from_spans(tracing.spans())
        .with_grpc_trace_bin()
        .with_trust(Trust::link());
    let request =
        Request::post("/a.B/C").header("grpc-trace-bin", "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE");
    drive(layer.layer(scripted(ok())), request.body(()).unwrap());
    let span = tracing.only();
    assert_root(&span);
    let caller = Caller::sampled().span_context();
    assert_eq!(span.links[0].span_context.span_id(), caller.span_id());
}

#[test]
fn health_checks_get_no_span_where_they_are_filtered_and_pass_their_caller_on() {
    let tracing = TestTracing::always();
    let filters = Filters::new([towline_grpc::health_checks()]);
    let layer = server::TraceLayer::from_spans(tracing.spans()).with_filters(filters.clone());
    for method in ["Check", "Watch"] {
        let path = format!("/grpc.health.v1.Health/{method}");
        passed_on(&tracing, layer.clone(), &path);
        // The client's span is one of the caller's trace.
        let client = tracing.only();
        assert_eq!(client.span_kind, SpanKind::Client);
        assert_child_of(&client, &Caller::sampled().span_context());
        tracing.reset();
        // And without a caller there is nothing.
        let request = Request::post(&path).body(()).unwrap();
        drive(layer.layer(scripted(ok())), request);
        tracing.assert_none();
    }
    let request = || Request::post("/a.B/C").body(()).unwrap();
    drive(layer.layer(scripted(ok())), request());
    assert_eq!(tracing.only().name, "a.B/C");
    filters.set([Filter::path("/a.B/C")]);
    drive(layer.layer(scripted(ok())), request());
    assert_eq!(tracing.finished().len(), 1);
}
