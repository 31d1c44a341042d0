//! What a configuration says of the layers is what they do.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SimpleSpanProcessor, SpanData};
use tower::{Layer, ServiceExt, service_fn};
use towline::{Config, Environment, Limit, Towline};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn start(section: &str) -> (Towline, InMemorySpanExporter) {
    let spans = InMemorySpanExporter::default();
    let config = Config::from_yaml(&format!("tracing_service: {{ enabled: yes, {section} }}"));
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_config(config.unwrap())
        .with_span_processor(SimpleSpanProcessor::new(spans.clone()))
        .build()
        .unwrap();
    (tracing, spans)
}

/// Calls a server, from a sampled caller, that answers with a header and a secret.
async fn call(tracing: &Towline, target: &str) -> HeaderMap {
    let service = service_fn(async |_: Request<Empty<&[u8]>>| {
        let response = Response::builder()
            .header("retry-after", "3")
            .header("set-cookie", "id=hunter2");
        Ok::<_, Infallible>(response.body(Empty::<&[u8]>::new()).unwrap())
    });
    let request = Request::get(target)
        .header("traceparent", TRACEPARENT)
        .header("x-request-id", "r-1")
        .header("authorization", "Bearer hunter2")
        .body(Empty::new())
        .unwrap();
    let service = tracing.http_server().layer(service);
    let response = service.oneshot(request).await.unwrap();
    response.headers().clone()
}

fn server_span(spans: &InMemorySpanExporter) -> SpanData {
    let spans = spans.get_finished_spans().unwrap();
    let mut servers = spans
        .into_iter()
        .filter(|span| span.span_kind == SpanKind::Server);
    let span = servers.next().unwrap();
    assert!(servers.next().is_none());
    span
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key.as_str() == key);
    found.map(|one| one.value.to_string())
}

#[tokio::test]
async fn headers_query_keys_and_the_trace_id_are_as_it_says() {
    let (tracing, spans) = start(
        "capture_request_headers: [x-request-id, Authorization], \
         capture_response_headers: [retry-after, set-cookie], \
         redacted_query_keys: [token], response_trace_id_header: x-trace-id",
    );
    let answered = call(&tracing, "/users?token=hunter2&q=1").await;
    assert_eq!(answered["x-trace-id"], TRACE_ID);
    let span = server_span(&spans);
    let request_id = attribute(&span, "http.request.header.x-request-id");
    assert_eq!(request_id.as_deref(), Some(r#"["r-1"]"#));
    let retry_after = attribute(&span, "http.response.header.retry-after");
    assert_eq!(retry_after.as_deref(), Some(r#"["3"]"#));
    assert!(attribute(&span, "http.request.header.authorization").is_some());
    assert!(!format!("{span:?}").contains("hunter2"));
    let query = attribute(&span, "url.query");
    assert_eq!(query.as_deref(), Some("token=REDACTED&q=1"));
}

#[tokio::test]
async fn without_a_word_of_it_nothing_is_captured_and_nobody_is_told() {
    let (tracing, spans) = start("");
    let answered = call(&tracing, "/users").await;
    assert!(!answered.contains_key("x-trace-id"));
    let span = server_span(&spans);
    assert_eq!(span.span_context.trace_id().to_string(), TRACE_ID);
    assert!(!format!("{span:?}").contains(".header."));
}

#[tokio::test]
async fn a_caller_is_the_parent_a_link_or_nobody() {
    for (trust, is_parent, links) in [
        ("parent", true, 0),
        ("link", false, 1),
        ("ignore", false, 0),
    ] {
        let (tracing, spans) = start(&format!(
            "trust: {trust}, sampling_rate_per_million: 1000000"
        ));
        call(&tracing, "/users").await;
        let span = server_span(&spans);
        let has_parent = span.span_context.trace_id().to_string() == TRACE_ID;
        assert_eq!(
            (has_parent, span.links.len()),
            (is_parent, links),
            "{trust}"
        );
    }
}

#[tokio::test]
async fn paths_are_skipped_and_a_reload_changes_which() {
    let (tracing, spans) = start("skip_paths: [/healthz, /internal/*]");
    let recorded = async |target| {
        spans.reset();
        call(&tracing, target).await;
        spans.get_finished_spans().unwrap().len() == 1
    };
    assert!(!recorded("/healthz").await);
    assert!(!recorded("/internal/metrics").await);
    assert!(recorded("/healthz/more").await);
    assert!(recorded("/users").await);

    let config = Config::new().with_enabled(true).with_skip_paths(["/users"]);
    let reload = tracing.reload(&config).unwrap();
    assert_eq!(reload.changed()[0].key(), "skip_paths");
    assert!(recorded("/healthz").await);
    assert!(!recorded("/users").await);

    let _ = tracing.reload(&Config::new().with_enabled(true)).unwrap();
    assert!(recorded("/users").await);
}

#[tokio::test]
async fn what_callers_ask_for_is_limited_and_a_reload_changes_how_far() {
    let (tracing, spans) = start("remote_sampled_limit_per_second: 0");
    let limit = tracing.control().remote_limit().unwrap();
    assert_eq!(limit.as_per_second(), 0);
    call(&tracing, "/users").await;
    assert!(spans.get_finished_spans().unwrap().is_empty());

    let config = Config::new()
        .with_enabled(true)
        .with_remote_sampled_limit_per_second(Limit::per_second(5));
    let _ = tracing.reload(&config).unwrap();
    assert_eq!(tracing.control().remote_limit(), Some(Limit::per_second(5)));
    let _ = tracing.reload(&Config::new().with_enabled(true)).unwrap();
    assert_eq!(tracing.control().remote_limit(), None);
    call(&tracing, "/users").await;
    server_span(&spans);
}

#[test]
fn the_file_comes_between_code_and_the_environment() {
    let environment = || Environment::from_iter([("OTEL_PROPAGATORS", "jaeger")]);
    let config = Config::from_yaml("tracing_service: { enabled: no, propagators: [baggage] }");
    let tracing = Towline::builder()
        .with_environment(environment())
        .with_config(config.unwrap())
        .build()
        .unwrap();
    assert_eq!(tracing.propagator().to_string(), "baggage");

    let tracing = Towline::builder().with_environment(environment()).build();
    assert_eq!(tracing.unwrap().propagator().to_string(), "jaeger");
}
