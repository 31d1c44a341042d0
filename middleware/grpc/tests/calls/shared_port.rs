//! axum and tonic on one listener behind one layer, and a client for both.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Empty};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SdkTracer;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tower::{Layer, ServiceExt};
use towline_grpc::{ByContentType, client, server};
use towline_test_support::{TestTracing, attribute, text_attribute};

use crate::chain::assert_chain;
use crate::conversation::{Kind, Raw};
use crate::echo::{Echo, Script};
use crate::network::{eventually, hyper_client, serve};

type ServerLayer =
    ByContentType<towline_http::server::TraceLayer<SdkTracer>, server::TraceLayer<SdkTracer>>;
type ClientLayer =
    ByContentType<towline_http::client::TraceLayer<SdkTracer>, client::TraceLayer<SdkTracer>>;

fn server_layer(tracing: &TestTracing) -> ServerLayer {
    ByContentType::new(
        towline_http::server::TraceLayer::from_spans(tracing.spans()),
        server::TraceLayer::from_spans(tracing.spans()),
    )
}

fn client_layer(tracing: &TestTracing) -> ClientLayer {
    ByContentType::new(
        towline_http::client::TraceLayer::from_spans(tracing.spans()),
        client::TraceLayer::from_spans(tracing.spans()),
    )
}

/// A page of axum's beside a service of tonic's.
async fn start(tracing: &TestTracing) -> Uri {
    let grpc = Routes::new(Echo::new(Script::Answer)).into_axum_router();
    let app = Router::new().route("/page", get(async || "page"));
    serve(app.merge(grpc).layer(server_layer(tracing))).await
}

#[tokio::test]
async fn each_protocol_has_its_spans() {
    let tracing = TestTracing::always();
    let uri = start(&tracing).await;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some("/page".parse().unwrap());
    let request = Request::get(Uri::from_parts(parts).unwrap()).body(Empty::<Bytes>::new());
    let client = client_layer(&tracing).layer(hyper_client());
    let response = client.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "page"
    );
    eventually("the end of both spans", || tracing.finished().len() == 2).await;
    assert_chain(
        &tracing,
        &[(SpanKind::Client, "GET"), (SpanKind::Server, "GET")],
    );
    for span in tracing.finished() {
        assert_eq!(
            text_attribute(&span, "http.request.method").as_deref(),
            Some("GET")
        );
        assert_eq!(
            attribute(&span, "http.response.status_code"),
            Some(200.into())
        );
        assert_eq!(attribute(&span, "rpc.system.name"), None);
    }

    for kind in Kind::ALL {
        tracing.reset();
        let client = client_layer(&tracing).layer(hyper_client());
        let mut grpc = Grpc::with_origin(client, uri.clone());
        let received = kind
            .converse(&mut grpc, &MetadataMap::new(), &Raw::default())
            .await;
        assert_eq!(received.unwrap(), kind.responses());
        eventually("the end of both spans", || tracing.finished().len() == 2).await;
        let name = kind.method();
        assert_chain(
            &tracing,
            &[(SpanKind::Client, name), (SpanKind::Server, name)],
        );
        for span in tracing.finished() {
            assert_eq!(
                text_attribute(&span, "rpc.system.name").as_deref(),
                Some("grpc")
            );
            let code = text_attribute(&span, "rpc.response.status_code");
            assert_eq!(code.as_deref(), Some("OK"));
            assert_eq!(attribute(&span, "http.request.method"), None);
        }
    }
}

#[tokio::test]
async fn grpc_web_is_the_http_request_that_it_is() {
    for content_type in ["application/grpc-web", "application/grpc-web-text+proto"] {
        let tracing = TestTracing::always();
        let uri = start(&tracing).await;
        let target = format!("{}{}", uri, Kind::Unary.method());
        let request = Request::post(target)
            .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
            .body(Empty::<Bytes>::new());
        let response = hyper_client().request(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
        eventually("the end of the span", || !tracing.finished().is_empty()).await;
        let span = tracing.only();
        assert_eq!(span.name, "POST");
        assert_eq!(attribute(&span, "rpc.system.name"), None);
    }
}
