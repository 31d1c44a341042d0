//! From a file to files: two axum services over real sockets, as an operator would set them up.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{Exported, spans};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::{ServiceBuilder, ServiceExt};
use towline::{Config, Environment, SCHEMA_URL, Stats, Towline};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const DEADLINE: Duration = Duration::from_secs(10);

/// A front that asks a back, each with its own tracing, exported to one directory.
struct Pair {
    front: Towline,
    back: Towline,
    url: String,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl Pair {
    async fn start(directory: &Path, rate: u32) -> Self {
        let tracing = |name: &str| {
            let path = directory.join(format!("{name}.yaml"));
            let traces = directory.join(name);
            let text = format!(
                "listen: ignored\n\
                 tracing_service:\n  \
                   enabled: yes\n  \
                   exporter_url: file://{}\n  \
                   sampling_rate_per_million: {rate}\n  \
                   service_name: {name}\n",
                traces.display()
            );
            fs::write(&path, text).unwrap();
            let builder = Towline::builder()
                .with_config(Config::from_file(&path).unwrap())
                .with_environment(Environment::empty());
            builder.build().unwrap()
        };
        let (front, back) = (tracing("front"), tracing("back"));
        let stop = watch::Sender::new(false);
        let users = Router::new()
            .route("/users/{id}", get(user))
            .layer(back.http_server());
        let (users_url, users) = serve(users, stop.subscribe()).await;
        let api = Router::new()
            .route("/api/users/{id}", get(proxy))
            .layer(front.http_server())
            .with_state((front.clone(), users_url));
        let (url, api) = serve(api, stop.subscribe()).await;
        Self {
            front,
            back,
            url,
            stop,
            servers: vec![users, api],
        }
    }

    async fn get(&self, path: &str, traceparent: Option<&str>) -> (StatusCode, Bytes) {
        let mut request = Request::get(format!("{}{path}", self.url));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let request = request.body(Empty::new()).unwrap();
        let response = client().request(request).await.unwrap();
        let status = response.status();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    /// Servers first, so that every span has ended.
    async fn stop(self) -> (Stats, Stats) {
        self.stop.send_replace(true);
        for server in self.servers {
            server.await.unwrap();
        }
        let front = self.front.shutdown(DEADLINE).await.unwrap();
        (front, self.back.shutdown(DEADLINE).await.unwrap())
    }
}

async fn serve(app: Router, mut stop: watch::Receiver<bool>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    let server = axum::serve(listener, app).with_graceful_shutdown(stopped);
    (url, tokio::spawn(async move { server.await.unwrap() }))
}

fn client() -> Client<HttpConnector, Empty<Bytes>> {
    // No idle connections, which would hold up the servers' end.
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http()
}

async fn user(UrlPath(id): UrlPath<u32>) -> Result<String, StatusCode> {
    match id {
        0 => Err(StatusCode::INTERNAL_SERVER_ERROR),
        id => Ok(format!("user {id}")),
    }
}

async fn proxy(
    State((tracing, users)): State<(Towline, String)>,
    UrlPath(id): UrlPath<u32>,
) -> (StatusCode, Bytes) {
    let client = ServiceBuilder::new()
        .layer(tracing.http_client())
        .service(client());
    let ask = async {
        let request = Request::get(format!("{users}/users/{id}")).body(Empty::new());
        let response = client.oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    };
    tracing
        .spans("front::users")
        .span("users/Get")
        .run(ask)
        .await
}

fn text<'a>(span: &'a Exported, key: &str) -> &'a str {
    span.span[key].as_str().unwrap_or_default()
}

/// The one span of that name and kind.
#[track_caller]
fn one<'a>(spans: &'a [Exported], name: &str, kind: u64) -> &'a Exported {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| span.name() == name && span.span["kind"] == kind)
        .collect();
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

#[tokio::test]
async fn a_trace_runs_from_the_caller_through_both_services_although_the_rate_is_0() {
    let directory = tempfile::tempdir().unwrap();
    let pair = Pair::start(directory.path(), 0).await;
    let traceparent = format!("00-{TRACE_ID}-{CALLER}-01");
    assert_eq!(
        pair.get("/api/users/42", Some(&traceparent)).await,
        (StatusCode::OK, Bytes::from("user 42"))
    );
    // Nobody asks for these two.
    pair.get("/api/users/7", None).await;
    let unsampled = format!("00-{TRACE_ID}-{CALLER}-00");
    pair.get("/api/users/7", Some(&unsampled)).await;
    let (front, back) = pair.stop().await;
    assert_eq!((front.ended, front.exported), (3, 3));
    assert_eq!((back.ended, back.exported), (1, 1));

    let front = spans(&directory.path().join("front"));
    let back = spans(&directory.path().join("back"));
    let entry = one(&front, "GET /api/users/{id}", SERVER);
    let block = one(&front, "users/Get", INTERNAL);
    let call = one(&front, "GET", CLIENT);
    let answer = one(&back, "GET /users/{id}", SERVER);
    assert_eq!(text(entry, "parentSpanId"), CALLER);
    assert_eq!(text(block, "parentSpanId"), text(entry, "spanId"));
    assert_eq!(text(call, "parentSpanId"), text(block, "spanId"));
    assert_eq!(text(answer, "parentSpanId"), text(call, "spanId"));
    for span in front.iter().chain(&back) {
        assert_eq!(text(span, "traceId"), TRACE_ID);
        assert_eq!(span.resource_schema_url, SCHEMA_URL);
        let distribution = span.resource_text("telemetry.distro.name");
        assert_eq!(distribution.as_deref(), Some("towline"));
    }
    assert_eq!(
        entry.resource_text("service.name").as_deref(),
        Some("front")
    );
    assert_eq!(
        answer.resource_text("service.name").as_deref(),
        Some("back")
    );

    for span in [entry, call, answer] {
        assert_eq!(span.scope["name"], "towline-http");
        assert_eq!(span.scope["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span.scope_schema_url, SCHEMA_URL);
    }
    assert_eq!(block.scope["name"], "front::users");
    assert!(block.scope_schema_url.is_null(), "{block:?}");
}

#[tokio::test]
async fn every_trace_is_recorded_at_the_full_rate() {
    let directory = tempfile::tempdir().unwrap();
    let pair = Pair::start(directory.path(), 1_000_000).await;
    assert_eq!(pair.get("/api/users/0", None).await.0, 500);
    assert_eq!(pair.get("/api/users/1", None).await.0, 200);
    assert_eq!(pair.get("/nowhere", None).await.0, 404);
    let (front, back) = pair.stop().await;
    assert_eq!((front.exported, back.exported), (7, 2));

    let back = spans(&directory.path().join("back"));
    let failed: Vec<_> = back
        .iter()
        .filter(|span| span.span["status"]["code"] == 2)
        .collect();
    assert_eq!(failed.len(), 1);
    let front = spans(&directory.path().join("front"));
    assert_eq!(text(one(&front, "GET", SERVER), "parentSpanId"), "");
}
