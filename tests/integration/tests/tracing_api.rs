//! Programs that use `tracing`, by way of tracing-opentelemetry, nest under our spans, and ours under
//! theirs, without glue.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::join_all;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{SdkTracer, SpanData};
use tokio::sync::Barrier;
use tokio::task::yield_now;
use tower::{Layer, service_fn};
use towline_http::client::Trace;
use towline_integration::{
    Body, Hop, HyperClient, Protocol, Server, ask, assert_joined, assert_nested, client, empty,
    get, read,
};
use towline_test_support::{assert_root, text_attribute};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, info_span, instrument};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// Sends the `tracing` spans of this file to the tracer of a hop, as long as the guard lives.
fn subscribe(hop: &Hop) -> DefaultGuard {
    let layer = tracing_opentelemetry::layer().with_tracer(hop.tracer());
    let ours = filter_fn(|metadata| metadata.target() == module_path!());
    tracing::subscriber::set_default(registry().with(ours).with(layer))
}

#[track_caller]
fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    let mut matching = spans.iter().filter(|span| span.name == name);
    let span = matching.next().expect(name);
    assert!(matching.next().is_none(), "two spans {name}");
    span
}

async fn hello(_request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(empty()))
}

type TracedClient = Trace<HyperClient, SdkTracer>;

/// A function as programs have them.
#[instrument(skip(client))]
async fn load_user(client: TracedClient, uri: Uri) {
    yield_now().await;
    read(ask(client, get(uri)).await).await;
    yield_now().await;
}

/// Two traced servers: the first, when it is asked, does `work` with a traced client and a target on the
/// second.
async fn relay<W, F>(first: &Hop, second: &Hop, protocol: Protocol, work: W) -> [Server; 2]
where
    W: Fn(TracedClient, Uri) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let last = Server::start(second.server_layer().layer(service_fn(hello))).await;
    let (forward, uri) = (first.client_layer().layer(client(protocol)), last.uri("/"));
    let handler = service_fn(move |_request: Request<Incoming>| {
        let work = work(forward.clone(), uri.clone());
        async {
            work.await;
            Ok::<_, Infallible>(Response::new(empty()))
        }
    });
    [
        Server::start(first.server_layer().layer(handler)).await,
        last,
    ]
}

fn of_kind(spans: &[SpanData], kind: SpanKind) -> &SpanData {
    let mut matching = spans.iter().filter(|span| span.span_kind == kind);
    let span = matching.next().expect("a span of this kind");
    assert!(matching.next().is_none(), "two spans of kind {kind:?}");
    span
}

/// That server, the program's own span, and client are one below the other, and that the next server is
/// below them.
#[track_caller]
fn assert_chain(spans: &[SpanData], own: &str, next: &SpanData) {
    let (server, client) = (
        of_kind(spans, SpanKind::Server),
        of_kind(spans, SpanKind::Client),
    );
    assert_root(server);
    assert_nested(named(spans, own), server);
    assert_nested(client, named(spans, own));
    assert_joined(next, client);
}

#[tokio::test]
async fn an_instrumented_function_is_between_the_server_and_the_client() {
    for protocol in Protocol::ALL {
        let (first, second) = (Hop::always(), Hop::always());
        let _subscriber = subscribe(&first);
        let [server, _last] = relay(&first, &second, protocol, load_user).await;
        read(ask(client(protocol), get(server.uri("/"))).await).await;
        assert_chain(&first.ended(3).await, "load_user", &second.only().await);
    }
}

#[tokio::test]
async fn a_task_that_is_spawned_inside_of_a_span_is_too() {
    for protocol in Protocol::ALL {
        let (first, second) = (Hop::always(), Hop::always());
        let _subscriber = subscribe(&first);
        let work = async |client: TracedClient, uri: Uri| {
            yield_now().await;
            let asking = async move {
                yield_now().await;
                read(ask(client, get(uri)).await).await;
            };
            tokio::spawn(asking.instrument(info_span!("task")))
                .await
                .unwrap();
        };
        let [server, _last] = relay(&first, &second, protocol, work).await;
        read(ask(client(protocol), get(server.uri("/"))).await).await;
        assert_chain(&first.ended(3).await, "task", &second.only().await);
    }
}

#[tokio::test]
async fn a_request_that_is_sent_inside_of_a_span_is_its_child() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let _subscriber = subscribe(&caller);
        let server = Server::start(callee.server_layer().layer(service_fn(hello))).await;
        let client = caller.client_layer().layer(client(protocol));
        load_user(client, server.uri("/")).await;

        let spans = caller.ended(2).await;
        assert_root(named(&spans, "load_user"));
        assert_nested(named(&spans, "GET"), named(&spans, "load_user"));
        assert_joined(&callee.only().await, named(&spans, "GET"));
    }
}

#[tokio::test]
async fn requests_that_are_handled_at_the_same_time_keep_their_spans_apart() {
    const REQUESTS: usize = 10;
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let _subscriber = subscribe(&callee);
        let barrier = Arc::new(Barrier::new(REQUESTS));
        let handler = service_fn(move |request: Request<Incoming>| {
            let barrier = Arc::clone(&barrier);
            let path = request.uri().path().to_owned();
            let work = async move {
                // All are inside of their spans now.
                barrier.wait().await;
                info_span!("inner").in_scope(|| ());
                yield_now().await;
            };
            async move {
                work.instrument(info_span!("outer", path)).await;
                Ok::<_, Infallible>(Response::new(empty()))
            }
        });
        let server = Server::start(callee.server_layer().layer(handler)).await;
        let client = caller.client_layer().layer(client(protocol));
        let requests = (0..REQUESTS).map(|n| {
            let (client, uri) = (client.clone(), server.uri(&format!("/{n}")));
            async move { read(ask(client, get(uri)).await).await }
        });
        join_all(requests).await;

        let clients = caller.ended(REQUESTS).await;
        let spans = callee.ended(3 * REQUESTS).await;
        for client in clients {
            let of_trace =
                |span: &&SpanData| span.span_context.trace_id() == client.span_context.trace_id();
            let spans: Vec<_> = spans.iter().filter(of_trace).cloned().collect();
            let (server, outer) = (named(&spans, "GET"), named(&spans, "outer"));
            assert_joined(server, &client);
            assert_nested(outer, server);
            assert_nested(named(&spans, "inner"), outer);
            assert_eq!(
                text_attribute(outer, "path"),
                text_attribute(server, "url.path")
            );
        }
    }
}

/// h2 makes `tracing` spans of its own. Who exports all of them still has whole traces.
#[tokio::test]
async fn the_spans_of_h2_do_not_come_between_client_and_server() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let noise = Hop::always();
    let layer = tracing_opentelemetry::layer().with_tracer(noise.tracer());
    let _subscriber = tracing::subscriber::set_default(registry().with(layer));
    let server = Server::start(callee.server_layer().layer(service_fn(hello))).await;
    let client = caller.client_layer().layer(client(Protocol::Http2));
    read(ask(client, get(server.uri("/"))).await).await;
    drop(server);
    assert!(noise.started() > 0, "h2 makes none: the test is pointless");
    let client = caller.only().await;
    assert_root(&client);
    assert_joined(&callee.only().await, &client);
}
