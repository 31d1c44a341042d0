//! Under and around axum's router: the route it has found, and the peer that it knows.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{any_service, get};
use http::{Request, StatusCode};
use opentelemetry_sdk::trace::{SdkTracer, SpanData};
use tower::{Service, ServiceExt};
use towline_http::axum::RouteLayer;
use towline_http::server::{PeerAddr, TraceLayer};
use towline_test_support::{TestTracing, attribute, current_span_context, text_attribute};

fn layer(tracing: &TestTracing) -> TraceLayer<SdkTracer> {
    TraceLayer::from_spans(tracing.spans()).with_axum()
}

fn users() -> Router {
    Router::new().route("/users/{id}", get(async || "Ada"))
}

/// The status of the answer to a `GET`, which is read to its end.
async fn get_from<S, B>(service: S, path: &str) -> StatusCode
where
    S: Service<Request<Body>, Response = http::Response<B>, Error = std::convert::Infallible>,
    B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>,
{
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let status = response.status();
    http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap();
    status
}

#[track_caller]
fn assert_routed(span: &SpanData, path: &str, route: Option<&str>) {
    let name = route.map_or("GET".to_owned(), |route| format!("GET {route}"));
    assert_eq!(span.name, name);
    assert_eq!(text_attribute(span, "http.route").as_deref(), route);
    assert_eq!(text_attribute(span, "url.path").as_deref(), Some(path));
}

#[tokio::test]
async fn under_the_router_s_layer_the_route_is_known() {
    let tracing = TestTracing::always();
    let app = users().layer(layer(&tracing));
    assert_eq!(get_from(app, "/users/42").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/users/42", Some("/users/{id}"));
}

#[tokio::test]
async fn under_a_route_layer_the_route_is_known() {
    let tracing = TestTracing::always();
    let app = users().route_layer(layer(&tracing));
    assert_eq!(get_from(app, "/users/42").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/users/42", Some("/users/{id}"));
}

#[tokio::test]
async fn the_route_of_a_nested_router_is_the_whole_of_it() {
    let tracing = TestTracing::always();
    let app = Router::new().nest("/v1", users()).layer(layer(&tracing));
    assert_eq!(get_from(app, "/v1/users/42").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/v1/users/42", Some("/v1/users/{id}"));
}

#[tokio::test]
async fn a_layer_inside_of_a_nested_router_sees_the_whole_path_and_route() {
    let tracing = TestTracing::always();
    let app = Router::new().nest("/v1", users().layer(layer(&tracing)));
    assert_eq!(get_from(app, "/v1/users/42").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/v1/users/42", Some("/v1/users/{id}"));
}

#[tokio::test]
async fn what_no_route_matched_has_no_route() {
    let tracing = TestTracing::always();
    let app = users()
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(layer(&tracing));
    assert_eq!(get_from(app, "/nowhere").await, StatusCode::NOT_FOUND);
    let span = tracing.only();
    assert_routed(&span, "/nowhere", None);
    assert_eq!(
        attribute(&span, "http.response.status_code"),
        Some(404.into())
    );
}

#[tokio::test]
async fn a_nested_service_has_no_route() {
    let tracing = TestTracing::always();
    let files = any_service(tower::service_fn(async |_request: Request<Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from("file")))
    }));
    let app = Router::new()
        .nest_service("/files", files)
        .layer(layer(&tracing));
    assert_eq!(get_from(app, "/files/a/b").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/files/a/b", None);
}

#[tokio::test]
async fn around_the_router_the_route_comes_from_the_layer_inside() {
    let tracing = TestTracing::always();
    let app = Router::new()
        .nest("/v1", users())
        .route_layer(RouteLayer::new());
    let service = tower::Layer::layer(&layer(&tracing).with_deferred_route(), app);
    assert_eq!(get_from(service, "/v1/users/42").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/v1/users/42", Some("/v1/users/{id}"));
}

#[tokio::test]
async fn around_the_router_what_it_refuses_is_recorded_too() {
    let tracing = TestTracing::always();
    let app = users().route_layer(RouteLayer::new());
    let service = tower::Layer::layer(&layer(&tracing).with_deferred_route(), app);
    assert_eq!(get_from(service, "/nowhere").await, StatusCode::NOT_FOUND);
    assert_routed(&tracing.only(), "/nowhere", None);
}

#[tokio::test]
async fn a_layer_that_hands_out_the_route_does_no_harm_where_nobody_asks() {
    let tracing = TestTracing::always();
    let app = users()
        .route_layer(RouteLayer::new())
        .layer(layer(&tracing).with_deferred_route());
    assert_eq!(get_from(app, "/users/42").await, StatusCode::OK);
    assert_routed(&tracing.only(), "/users/42", Some("/users/{id}"));

    let app = users().route_layer(RouteLayer::new());
    assert_eq!(get_from(app, "/users/42").await, StatusCode::OK);
}

#[tokio::test]
async fn the_peer_is_the_one_that_axum_knows_or_the_server_says() {
    let (of_axum, of_server) = (
        SocketAddr::from(([192, 0, 2, 1], 1)),
        SocketAddr::from(([192, 0, 2, 2], 2)),
    );
    for (said, expected) in [(None, of_axum), (Some(of_server), of_server)] {
        let tracing = TestTracing::always();
        let app = users().layer(layer(&tracing));
        let mut request = Request::get("/users/42").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(of_axum));
        if let Some(said) = said {
            request.extensions_mut().insert(PeerAddr(said));
        }
        let response = app.oneshot(request).await.unwrap();
        axum::body::to_bytes(response.into_body(), 16)
            .await
            .unwrap();

        let span = tracing.only();
        let ip = Some(expected.ip().to_string());
        assert_eq!(text_attribute(&span, "client.address"), ip);
        assert_eq!(text_attribute(&span, "network.peer.address"), ip);
        assert_eq!(
            attribute(&span, "network.peer.port"),
            Some(i64::from(expected.port()).into())
        );
    }
}

#[tokio::test]
async fn a_handler_and_its_stream_run_inside_of_the_span() {
    let tracing = TestTracing::always();
    let (see, seen) = std::sync::mpsc::channel();
    let app = Router::new()
        .route(
            "/",
            get(async move || {
                see.send(current_span_context()).unwrap();
                let frames = [see.clone(), see].map(move |see| {
                    move || {
                        see.send(current_span_context()).unwrap();
                        Ok::<_, std::convert::Infallible>("frame")
                    }
                });
                let frames = futures_util::stream::iter(frames);
                Body::from_stream(futures_util::StreamExt::map(frames, |frame| frame()))
            }),
        )
        .layer(layer(&tracing));
    assert_eq!(get_from(app, "/").await, StatusCode::OK);

    let span = tracing.only();
    let seen: Vec<_> = seen.try_iter().map(|seen| seen.span_id()).collect();
    assert_eq!(seen, [span.span_context.span_id(); 3]);
}

#[tokio::test]
async fn head_is_answered_without_a_body_and_completes() {
    let tracing = TestTracing::always();
    let app = users().layer(layer(&tracing));
    let request = Request::head("/users/42").body(Body::empty()).unwrap();
    drop(app.oneshot(request).await.unwrap());
    let span = tracing.only();
    assert_eq!(span.name, "HEAD /users/{id}");
    assert_eq!(attribute(&span, "towline.outcome"), None);
}
