//! Provider, sampler, resource, propagators.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use opentelemetry::KeyValue;
use opentelemetry::trace::{TraceContextExt, Tracer};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::Discard;
use towline::{Rate, Towline};

use super::*;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn with_rate(rate: u32) -> Towline {
    builder()
        .with_transport(Discard::new())
        .with_sampling_rate(Rate::per_million(rate).unwrap())
        .build()
        .unwrap()
}

/// The `traceparent` that a request goes out with when it has come in with this one.
async fn hop(tracing: &Towline, traceparent: Option<&'static str>) -> HeaderMap {
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let client = ServiceBuilder::new()
        .layer(tracing.http_client())
        .service(service_fn(move |request: Request<Empty<Bytes>>| {
            sent.send(request.headers().clone()).unwrap();
            async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
        }));
    let server = ServiceBuilder::new()
        .layer(tracing.http_server())
        .service(service_fn(move |_: Request<Empty<Bytes>>| {
            client.clone().oneshot(Request::new(Empty::new()))
        }));
    let mut request = Request::new(Empty::new());
    if let Some(traceparent) = traceparent {
        let value = traceparent.parse().unwrap();
        request.headers_mut().insert("traceparent", value);
    }
    drop(server.oneshot(request).await.unwrap());
    received.recv().await.unwrap()
}

/// Teleport and here: parent-based, by the rate for roots. Here the threshold is exact, and R is the trace id's last 56
/// bits, as the specification's consistent sampling has it.
#[tokio::test]
async fn sampler() {
    let (never, always) = (with_rate(0), with_rate(1_000_000));
    for (tracing, traceparent, ended) in [
        (&never, None, 0),
        (&always, None, 2),
        (&never, Some(UNSAMPLED), 0),
        (&always, Some(UNSAMPLED), 0),
    ] {
        let before = tracing.stats().ended;
        hop(tracing, traceparent).await;
        assert_eq!(tracing.stats().ended - before, ended, "{traceparent:?}");
    }
}

/// Teleport and here: any caller may ask for a trace.
#[tokio::test]
async fn honour_remote_sampled_at_rate_0() {
    let tracing = with_rate(0);
    let headers = hop(&tracing, Some(SAMPLED)).await;
    assert_eq!(tracing.stats().ended, 2);
    let traceparent = headers["traceparent"].to_str().unwrap();
    assert!(
        traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{traceparent}"
    );
    assert!(traceparent.ends_with("-01"), "{traceparent}");
}

/// Teleport: 2048 spans, 5 s, 512 a batch, no settings; a full queue drops silently. Here: bytes, with settings, and what
/// is dropped is counted.
#[test]
fn processor() {
    let config = section("flush_interval: 5s, buffer_spans: 2048, batch_spans: 512, enabled: yes");
    let tracing = builder()
        .with_config(config.with_sampling_rate(Rate::ALWAYS))
        .with_late_transport()
        .build()
        .unwrap();
    for _ in 0..3000 {
        tracing.spans("test").span("work").call(|| ());
    }
    let stats = tracing.stats();
    assert_eq!(stats.ended, 3000);
    assert!(stats.held <= 2048, "{stats:?}");
    assert_eq!(stats.held + stats.dropped.buffer_full, 3000, "{stats:?}");
}

/// Teleport: the global propagators are set when a provider is made, and a hop that is off cuts the trace. Here: the layers
/// have their own, and a hop that is off passes on what came.
#[tokio::test]
async fn propagators() {
    let off = builder().build().unwrap();
    let headers = hop(&off, Some(SAMPLED)).await;
    assert_eq!(headers["traceparent"], SAMPLED);
    let on = with_rate(1_000_000);
    on.tracer("test").in_span("work", |cx| {
        let mut headers = HeaderMap::new();
        on.propagator().inject(&cx, &mut headers);
        assert!(headers.contains_key("traceparent"));
        let mut global = std::collections::HashMap::<String, String>::new();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&cx, &mut global);
        });
        assert!(global.is_empty() && cx.span().span_context().is_valid());
    });
}

/// Teleport: its own over those of the environment and the detected ones. Here: the same, and those of the file between
/// them; neither the runtime nor the owner of the process are told.
#[test]
fn resource_attributes() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [
        ("OTEL_RESOURCE_ATTRIBUTES", "a=env,b=env,c=env"),
        ("OTEL_SERVICE_NAME", "env"),
    ];
    let config =
        section("enabled: yes, service_name: users, resource_attributes: { b: file, c: file }");
    let tracing = builder()
        .with_environment(Environment::from_iter(environment))
        .with_config(config.with_exporter_url(format!("file://{}", directory.path().display())))
        .with_resource_attributes([KeyValue::new("c", "code")])
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    tracing.spans("test").span("work").call(|| ());
    tracing.blocking_shutdown(LONG).unwrap();
    let span = &support::spans(directory.path())[0];
    for (key, expected) in [
        ("a", "env"),
        ("b", "file"),
        ("c", "code"),
        ("service.name", "users"),
    ] {
        assert_eq!(span.resource_text(key).as_deref(), Some(expected), "{key}");
    }
    assert!(span.resource_text("telemetry.sdk.name").is_some());
    assert!(span.resource_text("process.executable.name").is_some());
}

/// Teleport: `teleport.process.id` and its kin. Here: a program brings what it calls its own.
#[test]
fn service_process_attributes() {
    let config = Config::from_yaml(
        "tracing_service:\n  resource_attributes:\n    teleport.host.name: a\n    teleport.process.id: p\n",
    );
    let config = config.unwrap();
    let attributes: Vec<_> = config
        .resource_attributes()
        .iter()
        .map(|pair| pair.key.as_str())
        .collect();
    assert_eq!(attributes, ["teleport.host.name", "teleport.process.id"]);
}

/// Teleport: every tracer has its version. Here: our layers have ours, a program's tracers what it says.
#[test]
fn tracer_wrapper() {
    let tracing = with_rate(1_000_000);
    tracing.tracer("mine").in_span("work", |_| {});
    assert_eq!(tracing.stats().ended, 1);
}

/// Teleport: a WARN for each batch that fails. Here: one line in all, see the exporter's `health`.
#[tokio::test]
async fn error_handler() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let tracing = {
        let (tracing, lines) = support::Log::of(|| {
            let tracing = builder()
                .with_exporter_url(format!("http://{address}"))
                .with_sampling_rate(Rate::ALWAYS)
                .with_retry_max_elapsed(Duration::ZERO)
                .build()
                .unwrap();
            for _ in 0..3 {
                tracing.spans("test").span("work").call(|| ());
                drop(tracing.blocking_flush(LONG));
            }
            tracing
        });
        let told = lines.iter().filter(|line| line.contains("towline")).count();
        assert!(told <= 2, "{lines:?}");
        tracing
    };
    assert_eq!(tracing.stats().exported, 0);
}

/// Teleport and here: the program goes on; here what is lost is counted.
#[tokio::test]
async fn backend_down() {
    let tracing = builder()
        .with_exporter_url("grpc://127.0.0.1:1")
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    for _ in 0..10 {
        hop(&tracing, None).await;
    }
    let error = tracing.shutdown(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.stats().ended, error.stats().exported), (20, 0));
}

/// Teleport: flush, then shutdown, with 5 s or the caller's time. Here: one call with its deadline, which delivers all.
#[tokio::test]
async fn shutdown() {
    let tracing = with_rate(1_000_000);
    hop(&tracing, None).await;
    let stats = tracing.shutdown(LONG).await.unwrap();
    assert_eq!((stats.ended, stats.exported), (2, 2));
    assert!(!tracing.is_enabled());
}

/// Teleport: a supplied client is closed with the exporter. Here: a transport is dropped with it.
#[test]
fn wrapped_exporter() {
    let alive = std::sync::Arc::new(());
    let held = std::sync::Arc::clone(&alive);
    let transport = service_fn(move |_: towline::otlp::Batch| {
        let _held = &held;
        std::future::ready(Ok::<_, towline::otlp::ExportError>(
            towline::otlp::Receipt::accepted(),
        ))
    });
    let tracing = builder().with_transport(transport).build().unwrap();
    tracing.blocking_shutdown(LONG).unwrap();
    drop(tracing);
    let deadline = std::time::Instant::now() + LONG;
    while std::sync::Arc::strong_count(&alive) > 1 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}
