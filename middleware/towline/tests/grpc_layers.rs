//! The layers for gRPC that the handle hands out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SimpleSpanProcessor, SpanData};
use tonic::service::Interceptor;
use tower::{Layer, Service, ServiceExt, service_fn};
use towline::grpc::interceptor::CallContext;
use towline::{Environment, Rate, Towline};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn start() -> (Towline, InMemorySpanExporter) {
    let spans = InMemorySpanExporter::default();
    let tracing = Towline::builder()
        .with_environment(Environment::empty())
        .with_span_processor(SimpleSpanProcessor::new(spans.clone()))
        .with_sampling_rate(Rate::ALWAYS)
        .build()
        .unwrap();
    (tracing, spans)
}

async fn through<L, B>(layer: L, content_type: &'static str)
where
    L: Layer<Inner>,
    L::Service: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let service = layer.layer(service_fn(answer as fn(_) -> _));
    let request = Request::post("/hello.Greeter/SayHello").header("content-type", content_type);
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    drop(response);
}

type Answer = std::future::Ready<Result<Response<Empty<&'static [u8]>>, Infallible>>;
type Inner = tower::util::ServiceFn<fn(Request<()>) -> Answer>;

fn answer(_request: Request<()>) -> Answer {
    let response = Response::builder().header("grpc-status", "0");
    std::future::ready(Ok(response.body(Empty::new()).unwrap()))
}

/// The one span that there is.
fn only(spans: &InMemorySpanExporter) -> SpanData {
    let finished = spans.get_finished_spans().unwrap();
    assert_eq!(finished.len(), 1);
    spans.reset();
    finished[0].clone()
}

#[tokio::test]
async fn their_spans_say_who_made_them_and_by_which_conventions() {
    let (tracing, spans) = start();
    through(tracing.grpc_server(), "application/grpc").await;
    let server = only(&spans);
    through(tracing.grpc_client(), "application/grpc").await;
    for span in [server, only(&spans)] {
        assert_eq!(span.name, "hello.Greeter/SayHello");
        let scope = &span.instrumentation_scope;
        assert_eq!(scope.name(), "towline-grpc");
        assert_eq!(scope.version(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(scope.schema_url(), Some(towline::SCHEMA_URL));
        assert_eq!(scope.schema_url(), Some(towline::grpc::SCHEMA_URL));
    }
}

#[tokio::test]
async fn a_layer_for_both_protocols_tells_them_apart() {
    let (tracing, spans) = start();
    for (content_type, scope) in [
        ("application/grpc+proto", "towline-grpc"),
        ("application/json", "towline-http"),
    ] {
        through(tracing.server(), content_type).await;
        assert_eq!(only(&spans).instrumentation_scope.name(), scope);
        through(tracing.client(), content_type).await;
        assert_eq!(only(&spans).instrumentation_scope.name(), scope);
    }
}

#[test]
fn the_interceptors_pass_a_context_on_also_when_off() {
    for tracing in [start().0, Towline::off()] {
        let mut incoming = tonic::Request::new(());
        let traceparent = TRACEPARENT.parse().unwrap();
        incoming.metadata_mut().insert("traceparent", traceparent);
        let incoming = tracing.grpc_server_interceptor().call(incoming).unwrap();
        let context = incoming.extensions().get::<CallContext>().unwrap();

        let attached = context.get().clone().attach();
        let outgoing = tracing.grpc_interceptor().call(tonic::Request::new(()));
        drop(attached);
        assert_eq!(
            outgoing.unwrap().metadata().get("traceparent").unwrap(),
            TRACEPARENT
        );
    }
}
