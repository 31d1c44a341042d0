//! Programs that use the OpenTelemetry API nest under our spans, and ours under theirs, without glue.

use std::convert::Infallible;
use std::future::ready;

use http::{HeaderMap, Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tower::{Layer, service_fn};
use towline_http::server::TraceLayer;
use towline_integration::{
    Body, Hop, Protocol, Server, any, ask, assert_joined, assert_nested, client, empty, get, read,
    within,
};
use towline_test_support::assert_root;

#[track_caller]
fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    let mut matching = spans.iter().filter(|span| span.name == name);
    let span = matching.next().expect(name);
    assert!(matching.next().is_none(), "two spans {name}");
    span
}

#[tokio::test]
async fn spans_of_a_handler_nest_under_the_server_s() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let tracer = callee.tracer();
        let handler = service_fn(move |_request: Request<Incoming>| {
            tracer.start("in the call").end();
            let tracer = tracer.clone();
            async move {
                yield_now().await;
                tracer.in_span("in the future", |_| ());
                let frames = futures_util::stream::once(async move {
                    yield_now().await;
                    tracer.in_span("in the body", |cx| cx.span().add_event("written", vec![]));
                    Ok::<_, Infallible>(Frame::data("hello".into()))
                });
                Ok::<Response<Body>, Infallible>(Response::new(any(StreamBody::new(frames))))
            }
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        read(ask(client, get(server.uri("/"))).await).await;

        let spans = callee.ended(4).await;
        let server = named(&spans, "GET");
        assert_joined(server, &caller.only().await);
        for name in ["in the call", "in the future", "in the body"] {
            assert_nested(named(&spans, name), server);
        }
    }
}

/// The only test in this program that touches what is global.
#[tokio::test]
async fn spans_of_a_global_tracer_nest_under_those_of_a_layer_on_another() {
    let callee = Hop::always();
    global::set_tracer_provider(callee.provider());
    let layer = TraceLayer::new(global::tracer("server"));
    let handler = service_fn(async |_request: Request<Incoming>| {
        yield_now().await;
        global::tracer("library").in_span("library", |_| ());
        Ok::<_, Infallible>(Response::new(empty()))
    });
    let server = Server::start(layer.layer(handler)).await;
    read(ask(client(Protocol::Http1), get(server.uri("/"))).await).await;
    let spans = callee.ended(2).await;
    assert_nested(named(&spans, "library"), named(&spans, "GET"));
    assert_root(named(&spans, "GET"));
}

#[tokio::test]
async fn a_request_that_is_sent_inside_of_a_span_is_its_child() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let handler = service_fn(|_request: Request<Incoming>| {
            ready(Ok::<_, Infallible>(Response::new(empty())))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        let work = caller.tracer().start("work");
        let cx = Context::current_with_span(work);
        async {
            yield_now().await;
            read(ask(client, get(server.uri("/"))).await).await;
        }
        .with_context(cx.clone())
        .await;
        cx.span().end();

        let spans = caller.ended(2).await;
        assert_nested(named(&spans, "GET"), named(&spans, "work"));
        assert_joined(&callee.only().await, named(&spans, "GET"));
    }
}

#[tokio::test]
async fn baggage_can_be_read_and_added_to_on_the_way() {
    for protocol in Protocol::ALL {
        let (tell, mut told) = mpsc::unbounded_channel::<HeaderMap>();
        let last = Server::start(service_fn(move |request: Request<Incoming>| {
            tell.send(request.headers().clone()).unwrap();
            ready(Ok::<_, Infallible>(Response::new(empty())))
        }))
        .await;
        let hop = Hop::always();
        let forward = hop.client_layer().layer(client::<Body>(protocol));
        let uri = last.uri("/");
        let handler = service_fn(move |_request: Request<Incoming>| {
            let (forward, uri) = (forward.clone(), uri.clone());
            async move {
                let cx = Context::current();
                assert_eq!(
                    cx.baggage().get("user").map(|user| user.as_str()),
                    Some("ada")
                );
                let cx =
                    cx.with_baggage([KeyValue::new("user", "ada"), KeyValue::new("shop", "7")]);
                read(ask(forward, get(uri)).with_context(cx).await).await;
                Ok::<_, Infallible>(Response::new(empty()))
            }
        });
        let server = Server::start(hop.server_layer().layer(handler)).await;
        let request = Request::get(server.uri("/")).header("baggage", "user=ada");
        read(ask(client(protocol), request.body(empty()).unwrap()).await).await;

        let headers = within(told.recv()).await.unwrap();
        let mut members: Vec<_> = headers["baggage"].to_str().unwrap().split(',').collect();
        members.sort_unstable();
        assert_eq!(members, ["shop=7", "user=ada"]);
        let (server, client) = hop.server_and_client().await;
        assert_nested(&client, &server);
    }
}
