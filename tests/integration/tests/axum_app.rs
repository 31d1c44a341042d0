//! An axum app as its users serve it: routes, refusals, streams, errors, panics and peers.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Path;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use opentelemetry_sdk::trace::SpanData;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::{Layer, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use towline_http::axum::RouteLayer;
use towline_integration::{
    Answer, Body, Hop, Protocol, Server, ask, assert_joined, client, empty, full, read, within,
};
use towline_span::Outcome;
use towline_test_support::{assert_outcome, attribute, text_attribute};

fn routes() -> Router {
    let albums = Router::new().route("/{album}/songs/{song}", get(async || "la la"));
    Router::new()
        .route(
            "/users/{id}",
            get(async |Path(id): Path<u32>| format!("user {id}")),
        )
        .route("/users", post(async |body: String| body))
        .route(
            "/broken",
            get(async || (StatusCode::INTERNAL_SERVER_ERROR, "sorry")),
        )
        .route("/panic", get(panics))
        .nest("/albums", albums)
        .fallback(async || (StatusCode::NOT_FOUND, "nothing here"))
}

async fn panics() -> &'static str {
    panic!("in the handler")
}

/// Serves an app the way axum does, with the peer's address for whoever wants it.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());
    address
}

/// What a traced caller is told, its span, and the span of the app.
async fn exchange(
    address: SocketAddr,
    callee: &Hop,
    protocol: Protocol,
    method: Method,
    path: &str,
    body: Body,
) -> (Answer, SpanData, SpanData) {
    let caller = Hop::always();
    let client = caller.client_layer().layer(client(protocol));
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .body(body)
        .unwrap();
    let before = callee.started();
    let answer = read(ask(client, request).await).await;
    let server = callee.ended(before + 1).await.pop().unwrap();
    let client = caller.only().await;
    assert_joined(&server, &client);
    assert_outcome(&client, Outcome::Completed);
    (answer, client, server)
}

const CASES: [(Method, &str, Option<&str>, i64, &str); 6] = [
    (
        Method::GET,
        "/users/42",
        Some("/users/{id}"),
        200,
        "user 42",
    ),
    (Method::POST, "/users", Some("/users"), 200, "Ada"),
    (
        Method::GET,
        "/albums/7/songs/3",
        Some("/albums/{album}/songs/{song}"),
        200,
        "la la",
    ),
    (Method::GET, "/broken", Some("/broken"), 500, "sorry"),
    (Method::GET, "/nowhere", None, 404, "nothing here"),
    // A method that the route does not take is still that route.
    (Method::DELETE, "/users/42", Some("/users/{id}"), 405, ""),
];

async fn every_case(address: SocketAddr, callee: &Hop) {
    for protocol in Protocol::ALL {
        for (method, path, route, status, told) in CASES {
            let body = if method == Method::POST {
                full("Ada")
            } else {
                empty()
            };
            let (answer, _client, server) =
                exchange(address, callee, protocol, method.clone(), path, body).await;
            let case = format!("{protocol:?} {method} {path}");
            assert_eq!(answer.data, told, "{case}");
            let name = route.map_or(method.to_string(), |route| format!("{method} {route}"));
            assert_eq!(server.name, name, "{case}");
            assert_eq!(
                text_attribute(&server, "http.route").as_deref(),
                route,
                "{case}"
            );
            assert_eq!(
                text_attribute(&server, "url.path").as_deref(),
                Some(path),
                "{case}"
            );
            let recorded = attribute(&server, "http.response.status_code");
            assert_eq!(recorded, Some(status.into()), "{case}");
            let error = (status >= 500).then(|| status.to_string());
            assert_eq!(text_attribute(&server, "error.type"), error, "{case}");
            assert_outcome(&server, Outcome::Completed);
            let peer = text_attribute(&server, "network.peer.address");
            assert_eq!(peer.as_deref(), Some("127.0.0.1"), "{case}");
            assert!(attribute(&server, "network.peer.port").is_some(), "{case}");
        }
    }
}

#[tokio::test]
async fn under_the_router_spans_are_named_after_routes_and_know_the_peer() {
    let hop = Hop::always();
    let address = serve(routes().layer(hop.server_layer().with_axum())).await;
    every_case(address, &hop).await;
}

#[tokio::test]
async fn around_the_router_spans_are_named_after_routes_too() {
    let hop = Hop::always();
    let layer = hop.server_layer().with_axum().with_deferred_route();
    let service = ServiceBuilder::new()
        .layer(layer)
        .service(routes().route_layer(RouteLayer::new()));
    let server = Server::start(service).await;
    every_case(server.address(), &hop).await;
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_panicked_span_and_an_answer_of_500() {
    let hop = Hop::always();
    let app = routes()
        .layer(hop.server_layer().with_axum())
        .layer(CatchPanicLayer::new());
    let address = serve(app).await;
    for protocol in Protocol::ALL {
        let (answer, client, server) =
            exchange(address, &hop, protocol, Method::GET, "/panic", empty()).await;
        assert_eq!(answer.head.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            text_attribute(&client, "error.type").as_deref(),
            Some("500")
        );
        assert_eq!(server.name, "GET /panic");
        assert_outcome(&server, Outcome::Panicked);
    }
}

/// An app that streams what is sent to it from outside.
fn streaming(hop: &Hop) -> (mpsc::Sender<Result<Bytes, io::Error>>, Router) {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
    let handler = async move || {
        let lines = stream::unfold(receiver, async |receiver| {
            let line = receiver.lock().await.recv().await?;
            Some((line, receiver))
        });
        AxumBody::from_stream(lines.boxed())
    };
    let app = Router::new()
        .route("/lines", get(handler))
        .layer(hop.server_layer().with_axum());
    (sender, app)
}

#[tokio::test]
async fn a_streaming_body_is_part_of_the_span_to_its_end() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let (lines, app) = streaming(&callee);
        let address = serve(app).await;
        let client = caller.client_layer().layer(client(protocol));
        let request = Request::get(format!("http://{address}/lines"))
            .body(empty())
            .unwrap();
        let mut response = ask(client, request).await;
        for line in ["one", "two"] {
            lines.send(Ok(line.into())).await.unwrap();
            let frame = within(response.frame()).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), line);
            assert_eq!((caller.finished().len(), callee.finished().len()), (0, 0));
        }
        drop(lines);
        assert_eq!(read(response).await.data, "");
        let (client, server) = (caller.only().await, callee.only().await);
        assert_joined(&server, &client);
        assert_eq!(server.name, "GET /lines");
        assert_outcome(&server, Outcome::Completed);
        assert_outcome(&client, Outcome::Completed);
    }
}

#[tokio::test]
async fn a_streaming_body_that_fails_is_a_failed_span() {
    for protocol in Protocol::ALL {
        let (caller, callee) = (Hop::always(), Hop::always());
        let (lines, app) = streaming(&callee);
        let address = serve(app).await;
        let client = caller.client_layer().layer(client(protocol));
        let request = Request::get(format!("http://{address}/lines"))
            .body(empty())
            .unwrap();
        let mut response = ask(client, request).await;
        lines.send(Ok("one".into())).await.unwrap();
        within(response.frame()).await.unwrap().unwrap();
        lines
            .send(Err(io::Error::other("disk gone")))
            .await
            .unwrap();
        within(response.collect()).await.unwrap_err();
        for hop in [caller, callee] {
            let span = hop.only().await;
            assert_outcome(&span, Outcome::Failed);
            assert_eq!(
                attribute(&span, "http.response.status_code"),
                Some(200.into())
            );
        }
    }
}
