//! The places where tonic takes a layer or an interceptor, and the services and clients it generates.

use futures_util::stream;
use opentelemetry::Value;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::Server;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tower::ServiceBuilder;
use tower::layer::util::Identity;
use towline_grpc::interceptor::{CallContext, ExtractInterceptor, InjectInterceptor};
use towline_grpc::{client, server};
use towline_span::Outcome;
use towline_test_support::{
    Caller, TestTracing, assert_child_of, assert_outcome, attribute, current_span_context,
    text_attribute,
};

use crate::chain::assert_chain;
use crate::network::{Running, eventually};

const CHECK: &str = "grpc.health.v1.Health/Check";

fn health() -> HealthServer<HealthService> {
    HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()))
}

fn check() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

/// A server of health and reflection behind our layer.
async fn traced(tracing: &TestTracing) -> Running {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let routes = Routes::new(health()).add_service(reflection);
    let layer = server::TraceLayer::from_spans(tracing.spans());
    Running::start(Server::builder(), layer, routes).await
}

#[tokio::test]
async fn a_generated_client_over_a_layered_channel_is_one_trace_with_a_generated_service() {
    let tracing = TestTracing::always();
    let running = traced(&tracing).await;
    let (host, port) = (
        running.uri().host().unwrap().to_owned(),
        running.uri().port_u16(),
    );
    let layer = client::TraceLayer::from_spans(tracing.spans());
    let channel = ServiceBuilder::new()
        .layer(layer.with_server(host, port.unwrap()))
        .service(running.endpoint().connect().await.unwrap());
    HealthClient::new(channel).check(check()).await.unwrap();

    eventually("the end of both spans", || tracing.finished().len() == 2).await;
    assert_chain(
        &tracing,
        &[(SpanKind::Client, CHECK), (SpanKind::Server, CHECK)],
    );
    for span in tracing.finished() {
        let port = port.map(|port| Value::I64(port.into()));
        assert_eq!(attribute(&span, "server.port"), port);
        assert_eq!(
            text_attribute(&span, "server.address").as_deref(),
            Some("127.0.0.1")
        );
        let peer = text_attribute(&span, "network.peer.address");
        let is_server = span.span_kind == SpanKind::Server;
        assert_eq!(peer.as_deref(), is_server.then_some("127.0.0.1"));
        assert_eq!(attribute(&span, "network.peer.port").is_some(), is_server);
    }
}

#[tokio::test]
async fn a_channel_hands_a_path_only_and_the_server_is_unknown_unless_it_is_named() {
    let tracing = TestTracing::always();
    let running = traced(&TestTracing::off()).await;
    let channel = ServiceBuilder::new()
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .service(running.endpoint().connect().await.unwrap());
    HealthClient::new(channel).check(check()).await.unwrap();
    assert_eq!(text_attribute(&tracing.only(), "server.address"), None);
}

#[tokio::test]
async fn a_generated_client_names_the_method_whatever_stands_before_it_in_the_path() {
    let tracing = TestTracing::always();
    let running = traced(&TestTracing::off()).await;
    let channel = ServiceBuilder::new()
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .service(running.endpoint().connect().await.unwrap());
    let origin = format!("{}behind/a/gateway", running.uri())
        .parse()
        .unwrap();
    let mut client = HealthClient::with_origin(channel, origin);
    let status = client.check(check()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);

    let span = tracing.only();
    assert_eq!(span.name, CHECK);
    assert_eq!(text_attribute(&span, "rpc.method").as_deref(), Some(CHECK));
    assert_eq!(text_attribute(&span, "rpc.method_original"), None);
}

#[tokio::test]
async fn a_method_that_nobody_serves_names_no_span() {
    let tracing = TestTracing::always();
    let running = traced(&tracing).await;
    let channel = running.endpoint().connect().await.unwrap();
    let origin = format!("{}made.Up", running.uri()).parse().unwrap();
    let mut client = HealthClient::with_origin(channel, origin);
    client.check(check()).await.unwrap_err();

    eventually("the end of the span", || !tracing.finished().is_empty()).await;
    let span = tracing.only();
    assert_eq!(span.name, "grpc");
    let text = |key| text_attribute(&span, key);
    assert_eq!(text("rpc.method").as_deref(), Some("_OTHER"));
    assert_eq!(
        text("rpc.method_original"),
        Some(format!("made.Up/{CHECK}"))
    );
    assert_eq!(text("error.type").as_deref(), Some("UNIMPLEMENTED"));
}

#[tokio::test]
async fn a_watch_of_health_lasts_until_it_is_dropped() {
    let tracing = TestTracing::always();
    let running = traced(&tracing).await;
    let channel = ServiceBuilder::new()
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .service(running.endpoint().connect().await.unwrap());
    let response = HealthClient::new(channel).watch(check()).await.unwrap();
    let mut watch = response.into_inner();
    watch.message().await.unwrap().unwrap();
    tracing.assert_not_ended();
    drop(watch);
    eventually("the end of both spans", || tracing.finished().len() == 2).await;
    for span in tracing.finished() {
        assert_eq!(span.name, "grpc.health.v1.Health/Watch");
        assert_outcome(&span, Outcome::CancelledDuringBody);
    }
}

#[tokio::test]
async fn a_conversation_with_reflection_lasts_until_both_have_said_all() {
    let tracing = TestTracing::always();
    let running = traced(&tracing).await;
    let channel = ServiceBuilder::new()
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .service(running.endpoint().connect().await.unwrap());
    let (say, messages) = tokio::sync::mpsc::unbounded_channel();
    let messages = stream::unfold(messages, async |mut messages| {
        let message = messages.recv().await?;
        Some((message, messages))
    });
    let mut client = ServerReflectionClient::new(channel);
    let response = client.server_reflection_info(messages).await;
    let mut answers = response.unwrap().into_inner();
    for _ in 0..3 {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        say.send(request).unwrap();
        answers.message().await.unwrap().unwrap();
        tracing.assert_not_ended();
    }
    drop(say);
    assert!(answers.message().await.unwrap().is_none());
    eventually("the end of both spans", || tracing.finished().len() == 2).await;
    let name = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_chain(
        &tracing,
        &[(SpanKind::Client, name), (SpanKind::Server, name)],
    );
}

#[tokio::test]
async fn a_client_with_an_interceptor_alone_passes_the_current_context_on() {
    let tracing = TestTracing::always();
    let running = traced(&tracing).await;
    let channel = running.endpoint().connect().await.unwrap();
    let mut client = HealthClient::with_interceptor(channel, InjectInterceptor::new());
    let work = async { (client.check(check()).await, current_span_context()) };
    let (answer, work) = tracing.spans().span("work").run(work).await;
    answer.unwrap();

    eventually("the end of both spans", || tracing.finished().len() == 2).await;
    assert_child_of(&tracing.named(CHECK), &work);
}

#[tokio::test]
async fn a_server_with_an_interceptor_alone_finds_the_callers_context_in_the_extensions() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let notes = std::sync::Arc::clone(&seen);
    let after = move |request: Request<()>| {
        let context = request.extensions().get::<CallContext>().unwrap().get();
        *notes.lock().unwrap() = Some(context.span().span_context().clone());
        Ok(request)
    };
    let service = ServiceBuilder::new()
        .layer(InterceptorLayer::new(ExtractInterceptor::new()))
        .layer(InterceptorLayer::new(after))
        .service(health());
    let routes = Routes::new(service);
    let running = Running::start(Server::builder(), Identity::new(), routes).await;

    let caller = Caller::sampled();
    let channel = running.endpoint().connect().await.unwrap();
    let mut client = HealthClient::with_interceptor(channel, InjectInterceptor::new());
    let answer = client.check(check()).with_context(caller.context());
    answer.await.unwrap();
    let seen = seen.lock().unwrap().clone().unwrap();
    assert_eq!(seen, caller.span_context());
}

#[tokio::test]
async fn an_interceptor_that_refuses_is_seen_by_a_layer_around_it() {
    let tracing = TestTracing::always();
    let refuse = |_: Request<()>| Err(Status::unauthenticated("who are you"));
    let routes = Routes::new(HealthServer::with_interceptor(
        HealthService::from_health_reporter(HealthReporter::new()),
        refuse,
    ));
    let layer = server::TraceLayer::from_spans(tracing.spans());
    let running = Running::start(Server::builder(), layer, routes).await;

    // The client's own interceptor is inside of its layer too, and lets this one pass.
    let channel = ServiceBuilder::new()
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .layer(InterceptorLayer::new(Ok::<Request<()>, Status>))
        .service(running.endpoint().connect().await.unwrap());
    let status = HealthClient::new(channel).check(check()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);

    // And this one not.
    let channel = ServiceBuilder::new()
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .layer(InterceptorLayer::new(refuse))
        .service(running.endpoint().connect().await.unwrap());
    HealthClient::new(channel).check(check()).await.unwrap_err();

    eventually("the end of every span", || tracing.finished().len() == 3).await;
    for span in tracing.finished() {
        let code = text_attribute(&span, "rpc.response.status_code");
        assert_eq!(code.as_deref(), Some("UNAUTHENTICATED"));
        assert_outcome(&span, Outcome::Completed);
        let is_error = towline_test_support::error_description(&span) == Some("who are you");
        assert_eq!(is_error, span.span_kind == SpanKind::Client);
    }
}
