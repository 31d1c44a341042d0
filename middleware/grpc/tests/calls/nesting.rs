//! gRPC and HTTP in each other, each of them one trace.

use std::convert::Infallible;

use axum::Router;
use axum::routing::get;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Empty;
use opentelemetry::trace::SpanKind;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use towline_grpc::{client, server};
use towline_propagation::TraceParent;
use towline_test_support::{Caller, TestTracing, assert_child_of, current_span_context};

use crate::chain::assert_chain;
use crate::conversation::{Kind, Raw};
use crate::echo::{Echo, Script};
use crate::network::{Running, eventually, hyper_client, serve};

type HttpBody = Empty<bytes::Bytes>;

#[tokio::test]
async fn a_grpc_server_over_an_http_client_is_one_trace() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let backend = Router::new()
        .route("/users", get(async || "Ada"))
        .layer(towline_http::server::TraceLayer::from_spans(spans.clone()));
    let backend = serve(backend).await;
    let http = towline_http::client::TraceLayer::from_spans(spans.clone());
    let http = http.layer(hyper_client::<HttpBody>());

    // What tonic makes of a handler that asks somebody else.
    let handler = service_fn(move |_call: Request<axum::body::Body>| {
        let request = Request::get(format!("{backend}users")).body(HttpBody::default());
        let answer = http.clone().oneshot(request.unwrap());
        async move {
            let code = match answer.await.unwrap().status().as_u16() {
                200 => Code::Ok,
                _ => Code::Internal,
            };
            Ok::<Response<Body>, Infallible>(Status::new(code, "").into_http())
        }
    });
    let layer = server::TraceLayer::from_spans(spans.clone());
    let routes = Routes::from(Router::new().fallback_service(handler));
    let running = Running::start(Server::builder(), layer, routes).await;
    let channel = running.endpoint().connect().await.unwrap();
    let channel = client::TraceLayer::from_spans(spans).layer(channel);
    call(Grpc::new(channel), &MetadataMap::new()).await;

    eventually("the end of every span", || tracing.finished().len() == 4).await;
    let name = Kind::ServerStream.method();
    assert_chain(
        &tracing,
        &[
            (SpanKind::Client, name),
            (SpanKind::Server, name),
            (SpanKind::Client, "GET"),
            (SpanKind::Server, "GET"),
        ],
    );
}

#[tokio::test]
async fn an_http_server_over_a_grpc_client_is_one_trace() {
    let tracing = TestTracing::always();
    let spans = tracing.spans();
    let layer = server::TraceLayer::from_spans(spans.clone());
    let routes = Routes::new(Echo::new(Script::Answer));
    let running = Running::start(Server::builder(), layer, routes).await;
    let channel = running.endpoint().connect().await.unwrap();
    let channel = client::TraceLayer::from_spans(spans.clone()).layer(channel);

    let handler = async move || call(Grpc::new(channel), &MetadataMap::new()).await;
    let app = Router::new()
        .route("/", get(handler))
        .layer(towline_http::server::TraceLayer::from_spans(spans.clone()));
    let app = serve(app).await;
    let http = towline_http::client::TraceLayer::from_spans(spans);
    let request = Request::get(app).body(HttpBody::default()).unwrap();
    let response = http.layer(hyper_client()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    drop(response);

    eventually("the end of every span", || tracing.finished().len() == 4).await;
    let name = Kind::ServerStream.method();
    assert_chain(
        &tracing,
        &[
            (SpanKind::Client, "GET"),
            (SpanKind::Server, "GET"),
            (SpanKind::Client, name),
            (SpanKind::Server, name),
        ],
    );
}

#[tokio::test]
async fn a_caller_that_is_sampled_is_recorded_at_rate_0_and_no_other_is() {
    let tracing = TestTracing::never();
    let layer = server::TraceLayer::from_spans(tracing.spans());
    let routes = Routes::new(Echo::new(Script::Answer));
    let running = Running::start(Server::builder(), layer, routes).await;
    let grpc = || Grpc::new(running.endpoint().connect_lazy());

    call(grpc(), &MetadataMap::new()).await;
    call(grpc(), &metadata(&Caller::not_sampled())).await;
    tracing.assert_none();

    let caller = Caller::sampled();
    call(grpc(), &metadata(&caller)).await;
    eventually("the end of the span", || !tracing.finished().is_empty()).await;
    let span = tracing.only();
    assert_child_of(&span, &caller.span_context());
    assert!(span.parent_span_is_remote);
}

#[tokio::test]
async fn a_hop_that_records_nothing_passes_the_trace_on() {
    let (seen, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let backend = Router::new().fallback(async move |headers: HeaderMap| {
        seen.send(headers).unwrap();
        Status::ok("").into_http::<axum::body::Body>()
    });
    let backend = serve(backend).await;
    for (tracing, caller, parent_id) in [
        (TestTracing::off(), Caller::sampled(), Some(Caller::SPAN_ID)),
        (
            TestTracing::off(),
            Caller::not_sampled(),
            Some(Caller::SPAN_ID),
        ),
        (TestTracing::never(), Caller::not_sampled(), None),
    ] {
        let caller = caller.with_tracestate("vendor", "value");
        let middle = middle(&tracing, backend.clone()).await;
        let channel = middle.endpoint().connect().await.unwrap();
        call(Grpc::new(channel), &metadata(&caller)).await;

        let headers = arrived.recv().await.unwrap();
        let sent = headers["traceparent"]
            .to_str()
            .unwrap()
            .parse::<TraceParent>()
            .unwrap();
        let expected = caller.span_context();
        assert_eq!(sent.trace_id(), expected.trace_id());
        assert_eq!(sent.flags(), expected.trace_flags());
        let same = u64::from_be_bytes(sent.parent_id().to_bytes()) == Caller::SPAN_ID;
        assert_eq!(same, parent_id.is_some(), "{sent}");
        assert_eq!(headers["tracestate"], "vendor=value");
        tracing.assert_none();
    }
}

#[tokio::test]
async fn the_context_is_current_in_the_handler_and_in_the_stream_it_returns() {
    let tracing = TestTracing::always();
    let handler = service_fn(|_call: Request<Body>| {
        let in_call = current_span_context().span_id();
        async move {
            let in_poll = current_span_context().span_id();
            let frame = move || {
                let in_frame = current_span_context().span_id();
                let seen = [in_call, in_poll, in_frame].map(|id| id.to_string());
                let trailers = [("grpc-status", "0"), ("seen", &seen.join(" "))];
                let trailers =
                    trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
                Ok::<_, Status>(http_body::Frame::trailers(trailers.into_iter().collect()))
            };
            let frames = futures_util::stream::once(async move { frame() });
            let body = http_body_util::StreamBody::new(frames);
            Ok::<_, Infallible>(Response::new(Body::new(body)))
        }
    });
    let service = ServiceBuilder::new()
        .layer(server::TraceLayer::from_spans(tracing.spans()))
        .service(handler);
    let request = Request::post("/a.B/C").body(Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap();
    let seen = body.trailers().unwrap()["seen"]
        .to_str()
        .unwrap()
        .to_owned();
    let span = tracing.only().span_context.span_id().to_string();
    assert_eq!(seen, [&*span, &*span, &*span].join(" "));
}

/// A gRPC server that asks a backend.
async fn middle(tracing: &TestTracing, backend: Uri) -> Running {
    let channel = tonic::transport::Channel::builder(backend)
        .connect()
        .await
        .unwrap();
    let channel = client::TraceLayer::from_spans(tracing.spans()).layer(channel);
    let handler = service_fn(move |_call: Request<axum::body::Body>| {
        let grpc = Grpc::new(channel.clone());
        async move {
            call(grpc, &MetadataMap::new()).await;
            Ok::<Response<Body>, Infallible>(Status::ok("").into_http())
        }
    });
    let layer = server::TraceLayer::from_spans(tracing.spans());
    let routes = Routes::from(Router::new().fallback_service(handler));
    Running::start(Server::builder(), layer, routes).await
}

/// A call of which nothing but its end matters.
async fn call<T: crate::conversation::Transport>(mut grpc: Grpc<T>, metadata: &MetadataMap) {
    let kind = Kind::ServerStream;
    drop(kind.converse(&mut grpc, metadata, &Raw::default()).await);
}

fn metadata(caller: &Caller) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("traceparent", caller.traceparent().parse().unwrap());
    metadata.insert("tracestate", caller.tracestate().parse().unwrap());
    metadata
}
