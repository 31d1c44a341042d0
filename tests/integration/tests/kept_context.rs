//! A program may keep the context of a request as long as it likes: the spans end in time.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use hyper::body::Incoming;
use opentelemetry::Context;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use tokio::sync::Notify;
use tower::{Layer, service_fn};
use towline_integration::{
    Hop, Protocol, Server, ask, assert_joined, assert_nested, client, empty, full, get, read,
};
use towline_span::Outcome;
use towline_test_support::assert_outcome;

#[tokio::test]
async fn the_server_s_span_ends_though_a_task_goes_on_in_its_context() {
    for protocol in Protocol::ALL {
        let callee = Hop::always();
        let (release, tracer) = (Arc::new(Notify::new()), callee.tracer());
        let go_on = Arc::clone(&release);
        let handler = service_fn(move |_request: Request<Incoming>| {
            let (go_on, tracer) = (Arc::clone(&go_on), tracer.clone());
            let afterwards = async move {
                go_on.notified().await;
                tracer.in_span("afterwards", |_| ());
            };
            tokio::spawn(afterwards.with_current_context());
            ready(Ok::<_, Infallible>(Response::new(full("done"))))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        read(ask(client(protocol), get(server.uri("/"))).await).await;
        // The task waits for us, in the context of the request.
        let ended = callee.only().await;
        assert_outcome(&ended, Outcome::Completed);

        release.notify_one();
        let spans = callee.ended(2).await;
        assert_eq!(spans[1].name, "afterwards");
        assert_nested(&spans[1], &ended);
        assert!(spans[1].start_time >= ended.end_time);
    }
}

#[tokio::test]
async fn a_context_that_is_never_given_back_holds_no_span_open() {
    for protocol in Protocol::ALL {
        let callee = Hop::always();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        let handler = service_fn(move |_request: Request<Incoming>| {
            keep.lock().unwrap().push(Context::current());
            ready(Ok::<_, Infallible>(Response::new(empty())))
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = client(protocol);
        for _ in 0..3 {
            read(ask(client.clone(), get(server.uri("/"))).await).await;
        }
        let spans = callee.ended(3).await;
        let kept = kept.lock().unwrap();
        for (cx, span) in kept.iter().zip(&spans) {
            assert_eq!(
                cx.span().span_context().span_id(),
                span.span_context.span_id()
            );
            assert!(!cx.span().is_recording());
        }
    }
}

#[tokio::test]
async fn a_request_that_a_spawned_task_sends_later_is_still_of_the_trace() {
    for protocol in Protocol::ALL {
        let (first, second) = (Hop::always(), Hop::always());
        let last = Server::start(second.server_layer().layer(service_fn(
            |_request: Request<Incoming>| ready(Ok::<_, Infallible>(Response::new(empty()))),
        )))
        .await;
        let forward = first.client_layer().layer(client(protocol));
        let (uri, release) = (last.uri("/"), Arc::new(Notify::new()));
        let go_on = Arc::clone(&release);
        let handler = service_fn(move |_request: Request<Incoming>| {
            let (forward, uri, go_on) = (forward.clone(), uri.clone(), Arc::clone(&go_on));
            let afterwards = async move {
                go_on.notified().await;
                read(ask(forward, get(uri)).await).await;
            };
            tokio::spawn(afterwards.with_current_context());
            ready(Ok::<_, Infallible>(Response::new(empty())))
        });
        let server = Server::start(first.server_layer().layer(handler)).await;
        read(ask(client(protocol), get(server.uri("/"))).await).await;
        first.only().await;
        release.notify_one();
        let (server, client) = first.server_and_client().await;
        assert_nested(&client, &server);
        assert_joined(&second.only().await, &client);
    }
}
