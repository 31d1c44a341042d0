//! Which headers carry the context: code over environment over default, on and off.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SimpleSpanProcessor};
use support::start;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::Discard;
use towline::propagation::JaegerPropagator;
use towline::{Environment, PropagatorKind, Rate, Towline, TowlineBuilder};

const W3C: [&str; 3] = ["baggage", "traceparent", "tracestate"];

fn builder<const N: usize>(variables: [(&str, &str); N]) -> TowlineBuilder {
    Towline::builder().with_environment(Environment::from_iter(variables))
}

#[track_caller]
fn carries(builder: TowlineBuilder, names: &[&str], complaints: &[&str]) {
    let (tracing, lines) = start(builder);
    assert_eq!(tracing.unwrap().propagator().names(), names);
    let warnings: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("WARN towline: "))
        .collect();
    assert_eq!(warnings, complaints);
}

#[test]
fn code_comes_first_then_the_environment_then_the_default() {
    const JAEGER: (&str, &str) = ("OTEL_PROPAGATORS", "jaeger");
    carries(builder([]), &W3C, &[]);
    carries(builder([("OTEL_PROPAGATORS", "")]), &W3C, &[]);
    carries(builder([JAEGER]), &["uber-trace-id"], &[]);
    carries(
        builder([JAEGER]).with_propagators([PropagatorKind::Baggage]),
        &["baggage"],
        &[],
    );
    carries(builder([JAEGER]).with_propagators([]), &[], &[]);
    carries(
        builder([]).with_propagator(JaegerPropagator::new()),
        &["uber-trace-id"],
        &[],
    );
    carries(
        builder([])
            .with_propagator(JaegerPropagator::new())
            .with_propagators([PropagatorKind::TraceContext]),
        &["traceparent", "tracestate"],
        &[],
    );
    carries(builder([("OTEL_PROPAGATORS", "none")]), &[], &[]);
}

#[test]
fn a_switched_off_sdk_does_not_switch_them_off() {
    for disabled in [&[("OTEL_SDK_DISABLED", "true")][..], &[]] {
        let variables = [
            &[("OTEL_PROPAGATORS", "jaeger,xray,tracecontext")],
            disabled,
        ]
        .concat();
        let builder = Towline::builder().with_environment(Environment::from_iter(variables));
        let complaint = "OTEL_PROPAGATORS: ignored: unknown propagator \"xray\": expected tracecontext, baggage, b3, b3multi or jaeger";
        carries(
            builder,
            &["traceparent", "tracestate", "uber-trace-id"],
            &[complaint],
        );
    }
}

#[test]
fn what_is_wrong_is_told_once_where_tracing_is_on() {
    let builder = builder([("OTEL_PROPAGATORS", "xray")])
        .with_transport(Discard::new())
        .with_service_name("users");
    let complaint = "OTEL_PROPAGATORS: ignored: unknown propagator \"xray\": expected tracecontext, baggage, b3, b3multi or jaeger";
    carries(builder, &W3C, &[complaint]);
}

#[test]
fn b3_needs_its_feature() {
    let builder = builder([("OTEL_PROPAGATORS", "b3")]);
    if cfg!(feature = "b3") {
        let names = [
            "b3",
            "x-b3-flags",
            "x-b3-parentspanid",
            "x-b3-sampled",
            "x-b3-spanid",
            "x-b3-traceid",
        ];
        carries(builder, &names, &[]);
    } else {
        let complaint = "OTEL_PROPAGATORS: ignored: the propagator \"b3\" needs the feature `b3`";
        carries(builder, &W3C, &[complaint]);
    }
}

/// The headers that a request has behind a server and a client of ours.
async fn through(tracing: &Towline, headers: &[(&'static str, &str)]) -> HeaderMap {
    let upstream = ServiceBuilder::new()
        .layer(tracing.http_client())
        .service(service_fn(|request: Request<Full<Bytes>>| {
            let mut response = Response::new(Full::<Bytes>::default());
            *response.headers_mut() = request.headers().clone();
            ready(Ok::<_, Infallible>(response))
        }));
    let service = ServiceBuilder::new()
        .layer(tracing.http_server())
        .service(service_fn(move |_: Request<Full<Bytes>>| {
            let request = Request::get("http://upstream/").body(Full::default());
            upstream.clone().oneshot(request.unwrap())
        }));
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::default()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    response.headers().clone()
}

#[tokio::test]
async fn the_layers_read_any_of_them_and_write_all() {
    let seen = InMemorySpanExporter::default();
    let tracing = builder([("OTEL_PROPAGATORS", "tracecontext,baggage,jaeger")])
        .with_sampling_rate(Rate::NEVER)
        .with_span_processor(SimpleSpanProcessor::new(seen.clone()))
        .build()
        .unwrap();
    let received = [
        (
            "uber-trace-id",
            "4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1",
        ),
        ("uberctx-tenant", "acme"),
    ];
    let sent = through(&tracing, &received).await;
    let spans = seen.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 2, "the caller has sampled it");
    let client = spans[0].span_context.span_id();
    assert_eq!(spans[1].parent_span_id.to_string(), "00f067aa0ba902b7");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(sent["traceparent"], format!("00-{trace}-{client}-01"));
    assert_eq!(sent["uber-trace-id"], format!("{trace}:{client}:0:1"));
    assert_eq!(sent["baggage"], "tenant=acme");
    assert_eq!(sent["uberctx-tenant"], "acme");
}

#[cfg(feature = "b3")]
#[tokio::test]
async fn off_passes_b3_on_and_translates_it() {
    let tracing = builder([
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
    ])
    .build()
    .unwrap();
    let received = [
        ("x-b3-traceid", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("x-b3-spanid", "00f067aa0ba902b7"),
        ("x-b3-flags", "1"),
    ];
    let sent = through(&tracing, &received).await;
    let ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    assert_eq!(sent["b3"], format!("{ids}-d"));
    assert_eq!(sent["traceparent"], format!("00-{ids}-01"));
    assert_eq!(sent.len(), 2);
    // Nothing is made up, and nothing forbidden.
    assert!(through(&tracing, &[]).await.is_empty());
}

#[cfg(feature = "clap")]
#[test]
fn a_command_reads_the_variables_of_the_formats_that_are_named() {
    use towline::TraceArgs;

    let variables = [
        ("OTEL_PROPAGATORS", "jaeger"),
        (
            "UBER_TRACE_ID",
            "4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1",
        ),
        (
            "TRACEPARENT",
            "00-00000000000000000000000000000001-0000000000000001-01",
        ),
    ];
    let session = TraceArgs::default()
        .session("mytool", "run")
        .with_environment(Environment::from_iter(variables))
        .start();
    let mut child = std::process::Command::new("other-tool");
    session.inject(&mut child);
    let told: Vec<_> = child
        .get_envs()
        .map(|(name, value)| (name.to_str().unwrap(), value.unwrap().to_str().unwrap()))
        .collect();
    let expected = "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1";
    assert_eq!(told, [("UBER_TRACE_ID", expected)]);
}
