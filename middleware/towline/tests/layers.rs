//! What the handle hands out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use towline::otlp::Discard;
use towline::propagation::TraceContextPropagator;
use towline::{Config, Environment, Rate, Towline, TowlineBuilder};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn builder() -> TowlineBuilder {
    Towline::builder()
        .with_environment(Environment::empty())
        .with_transport(Discard::new())
        .with_sampling_rate(Rate::ALWAYS)
}

/// The headers that go out when these come in.
async fn passed_on(tracing: &Towline, incoming: &[(&'static str, &'static str)]) -> HeaderMap {
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let service = ServiceBuilder::new()
        .layer(tracing.http_server())
        .layer(tracing.http_client())
        .service(service_fn(move |request: Request<()>| {
            sent.send(request.headers().clone()).unwrap();
            async { Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new())) }
        }));
    let mut request = Request::new(());
    for (name, value) in incoming {
        // The client layer is given a request of its own in real life, without the caller's headers.
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    drop(service.oneshot(request).await.unwrap());
    received.recv().await.unwrap()
}

#[tokio::test]
async fn roots_carry_the_random_flag_unless_ids_are_not_random() {
    let tracing = builder().build().unwrap();
    let sent = passed_on(&tracing, &[]).await;
    assert!(
        sent["traceparent"].to_str().unwrap().ends_with("-03"),
        "{sent:?}"
    );

    let tracing = builder().with_random_trace_ids(false).build().unwrap();
    let sent = passed_on(&tracing, &[]).await;
    assert!(
        sent["traceparent"].to_str().unwrap().ends_with("-01"),
        "{sent:?}"
    );
}

#[tokio::test]
async fn another_propagator_reads_and_writes_its_own_headers_only() {
    let incoming = [("traceparent", TRACEPARENT), ("baggage", "a = 1")];
    let sent = passed_on(&builder().build().unwrap(), &incoming).await;
    assert_eq!(sent["baggage"], "a=1");

    let builder = builder().with_propagator(TraceContextPropagator::new());
    let sent = passed_on(&builder.build().unwrap(), &incoming).await;
    assert_eq!(sent["baggage"], "a = 1");
    assert!(
        sent["traceparent"]
            .to_str()
            .unwrap()
            .contains("0af7651916cd43dd8448eb211c80319c")
    );
}

#[tokio::test]
async fn spans_of_the_program_go_under_the_request() {
    let tracing = builder().build().unwrap();
    let stack = ServiceBuilder::new()
        .layer(tracing.http_server())
        .layer(tracing.span_layer("test", |request: &Request<()>| {
            opentelemetry::trace::SpanBuilder::from_name("handler").with_attributes([
                opentelemetry::KeyValue::new("uri", request.uri().to_string()),
            ])
        }));
    let service = stack.service(service_fn(|_| async {
        Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new()))
    }));
    drop(service.oneshot(Request::new(())).await.unwrap());
    let stats = tracing
        .shutdown(std::time::Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(stats.exported, 2);
}

#[test]
fn handles_are_shared_between_threads_and_small() {
    fn is<T: Clone + Send + Sync + 'static>() {}
    is::<Towline>();
    is::<Config>();
    assert_eq!(size_of::<Towline>(), size_of::<usize>());
}

#[test]
fn debug_shows_no_value_of_the_environment() {
    let environment = Environment::from_iter([("OTEL_EXPORTER_OTLP_HEADERS", "key=hunter2")]);
    let shown = format!("{:?}", Towline::builder().with_environment(environment));
    assert!(
        !shown.contains("hunter2") && shown.contains("OTEL_EXPORTER_OTLP_HEADERS"),
        "{shown}"
    );
}
