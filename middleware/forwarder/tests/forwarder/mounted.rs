//! Beside the user's own services, in what they are mounted in.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use prost::Message;
use tower::ServiceExt;
use towline_test_support::transport::MemoryTransport;

use crate::support::{EXPORT, builder, request};

#[tokio::test]
async fn in_an_axum_router_under_a_prefix() {
    let backend = MemoryTransport::accepting();
    let forwarder = builder().exporter(backend.clone()).build();
    let traces: Router = Router::new()
        .route_service("/v1/traces", forwarder.http())
        .route_service(EXPORT, forwarder.grpc());
    let app: Router = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .nest("/otlp", traces);
    let post = http::Request::post("/otlp/v1/traces")
        .header("authorization", "Bearer of-alice")
        .header("content-type", "application/x-protobuf")
        .body(axum::body::Body::from(request([1]).encode_to_vec()))
        .unwrap();
    assert_eq!(app.clone().oneshot(post).await.unwrap().status(), 200);
    let hello = http::Request::get("/hello")
        .body(axum::body::Body::empty())
        .unwrap();
    let hello = app.oneshot(hello).await.unwrap().into_body();
    assert_eq!(hello.collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(backend.accepted().len(), 1);
}

/// A page of another origin asks first, without credentials.
#[tokio::test]
async fn behind_a_cors_layer_for_browsers() {
    use tower::Layer;
    use tower_http::cors::CorsLayer;
    let forwarder = builder().build();
    let origin = http::HeaderValue::from_static("https://app.example.com");
    let cors = CorsLayer::new()
        .allow_origin(origin.clone())
        .allow_methods([http::Method::POST]);
    let service = cors.layer(forwarder.http());
    let preflight = http::Request::options("/v1/traces")
        .header("origin", &origin)
        .header("access-control-request-method", "POST")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let response = service.clone().oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], origin);
    assert_eq!(forwarder.stats().requests.received, 0);

    let post = http::Request::post("/v1/traces")
        .header("origin", &origin)
        .header("authorization", "Bearer of-alice")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let response = service.oneshot(post).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], origin);
}
