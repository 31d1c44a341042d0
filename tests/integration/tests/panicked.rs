//! Handlers that panic: the span says so, although the task that would have ended it has died.

use std::convert::Infallible;
use std::future::{Ready, ready};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use towline_integration::{
    Body, Hop, Protocol, Server, ask, assert_joined, client, get, read, scripted, within,
};
use towline_span::Outcome;
use towline_test_support::{BodyStep, ScriptedFuture, assert_outcome, attribute, text_attribute};

type Handled = Result<Response<Body>, Infallible>;

fn panics_in_call() -> impl Handler {
    service_fn(|_request: Request<Incoming>| -> Ready<Handled> { panic!("in the call") })
}

fn panics_in_future() -> impl Handler {
    service_fn(|_request: Request<Incoming>| {
        ScriptedFuture::<Handled>::panicking("in the future").after(1)
    })
}

fn panics_in_body() -> impl Handler {
    service_fn(|_request: Request<Incoming>| {
        let steps = [
            BodyStep::data("first"),
            BodyStep::Pending,
            BodyStep::Panic("in the body"),
        ];
        ready(Handled::Ok(Response::new(scripted(steps).0)))
    })
}

trait Handler:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Handler for S where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

#[track_caller]
fn assert_panicked(span: &SpanData, status: Option<i64>) {
    assert_outcome(span, Outcome::Panicked);
    assert_eq!(text_attribute(span, "error.type").as_deref(), Some("panic"));
    assert_eq!(
        attribute(span, "http.response.status_code"),
        status.map(Into::into)
    );
}

async fn panic_before_the_head(handler: impl Handler) {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let server = Server::start(callee.server_layer().layer(handler.clone())).await;
        let client = caller.client_layer().layer(client(protocol));
        within(client.oneshot(get(server.uri("/"))))
            .await
            .unwrap_err();
        within(server.idle()).await;

        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        assert_panicked(&server, None);
        assert_outcome(&client, Outcome::Failed);
    }
}

#[tokio::test]
async fn a_panic_in_the_call_ends_the_span() {
    panic_before_the_head(panics_in_call()).await;
}

#[tokio::test]
async fn a_panic_in_the_future_ends_the_span() {
    panic_before_the_head(panics_in_future()).await;
}

#[tokio::test]
async fn a_panic_in_the_body_ends_the_span() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let server = Server::start(callee.server_layer().layer(panics_in_body())).await;
        let client = caller.client_layer().layer(client(protocol));
        let response = ask(client, get(server.uri("/"))).await;
        within(response.collect()).await.unwrap_err();
        within(server.idle()).await;

        assert_panicked(&callee.only().await, Some(200));
        assert_outcome(&caller.only().await, Outcome::Failed);
    }
}

#[tokio::test]
async fn a_panic_that_is_caught_outside_of_the_layer_is_one() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let traced = callee.server_layer().layer(panics_in_future());
        let server = Server::start(CatchPanicLayer::new().layer(traced)).await;
        let client = caller.client_layer().layer(client(protocol));
        let answer = read(ask(client, get(server.uri("/"))).await).await;
        assert_eq!(answer.head.status, StatusCode::INTERNAL_SERVER_ERROR);

        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        assert_panicked(&server, None);
        assert_outcome(&client, Outcome::Completed);
        assert_eq!(
            text_attribute(&client, "error.type").as_deref(),
            Some("500")
        );
    }
}

#[tokio::test]
async fn a_panic_that_is_caught_inside_of_the_layer_is_an_answer() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let caught = CatchPanicLayer::new().layer(panics_in_future());
        let server = Server::start(callee.server_layer().layer(caught)).await;
        let client = caller.client_layer().layer(client(protocol));
        read(ask(client, get(server.uri("/"))).await).await;

        let server = callee.only().await;
        assert_outcome(&server, Outcome::Completed);
        assert_eq!(
            text_attribute(&server, "error.type").as_deref(),
            Some("500")
        );
        assert_eq!(
            attribute(&server, "http.response.status_code"),
            Some(500.into())
        );
    }
}

#[tokio::test]
async fn the_context_of_a_request_that_panicked_does_not_stay_behind() {
    // On one thread, so that the next request would find it.
    for protocol in Protocol::ALL {
        for handler in [true, false] {
            let callee = Hop::always();
            let traced =
                callee
                    .server_layer()
                    .layer(service_fn(move |request: Request<Incoming>| {
                        let panics = request.uri().path() == "/panic";
                        assert!(!(panics && handler), "in the call");
                        async move {
                            assert!(!panics, "in the future");
                            Ok::<_, Infallible>(Response::new(towline_integration::empty()))
                        }
                    }));
            let server = Server::start(CatchPanicLayer::new().layer(traced)).await;
            let client = client(protocol);
            for path in ["/panic", "/next"] {
                read(ask(client.clone(), get(server.uri(path))).await).await;
            }
            let spans = callee.ended(2).await;
            assert_panicked(&spans[0], None);
            towline_test_support::assert_root(&spans[1]);
            assert_outcome(&spans[1], Outcome::Completed);
        }
    }
}
