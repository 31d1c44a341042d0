//! An axum app with a cache, a slow backend and a gRPC service behind it, each called through a
//! traced tower service.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry_sdk::trace::SdkTracer;
use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::transport::Channel;
use tower::util::{BoxCloneSyncService, option_layer};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};
use towline::{GrpcClientLayer, HttpServerLayer, Spans};
use towline_span::SpanLayer;

use crate::hello::{GreeterClient, HelloRequest};

/// Looks a user up by number.
type Lookup = BoxCloneSyncService<u32, Option<String>, BoxError>;

/// Makes a greeting for a name.
type Greet = BoxCloneSyncService<String, String, BoxError>;

/// What the handlers work with.
#[derive(Clone)]
struct Users {
    cache: Lookup,
    backend: Lookup,
    greet: Greet,
}

/// Which of the app's layers are there.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The server span around each request.
    pub server: Option<HttpServerLayer>,
    /// What starts the spans around the cache.
    pub cache: Option<Spans<SdkTracer>>,
    /// What starts the spans around the backend.
    pub backend: Option<Spans<SdkTracer>>,
    /// The client span around each call of the greeter.
    pub greeter: Option<GrpcClientLayer>,
}

/// The app: `/users/{id}`, which asks the greeter as well, `/events` (a streamed body) and `/broken`
/// (an error).
pub fn app(layers: Layers, greeter: Channel) -> Router {
    let users = Users {
        cache: BoxCloneSyncService::new(
            ServiceBuilder::new()
                .layer(option_layer(
                    layers.cache.map(|spans| SpanLayer::new(spans, "cache/Get")),
                ))
                .service(service_fn(|_id: u32| async { Ok::<_, BoxError>(None) })),
        ),
        backend: BoxCloneSyncService::new(
            ServiceBuilder::new()
                .layer(option_layer(layers.backend.map(backend_spans)))
                .service(service_fn(load)),
        ),
        greet: match layers.greeter {
            Some(layer) => greet(GreeterClient::new(layer.layer(greeter))),
            None => greet(GreeterClient::new(greeter)),
        },
    };
    let app = Router::new()
        .route("/users/{id}", get(user))
        .route("/events", get(events))
        .route("/broken", get(broken))
        .with_state(users);
    match layers.server {
        Some(layer) => app.layer(layer),
        None => app,
    }
}

/// The spans of the backend: a client of something, with the key that was asked for.
fn backend_spans(
    spans: Spans<SdkTracer>,
) -> SpanLayer<SdkTracer, impl Fn(&u32) -> SpanBuilder + Clone + Send + Sync + 'static> {
    SpanLayer::new(spans, |id: &u32| {
        SpanBuilder::from_name("backend/Get")
            .with_kind(SpanKind::Client)
            .with_attributes([KeyValue::new("key", i64::from(*id))])
    })
}

async fn user(State(users): State<Users>, Path(id): Path<u32>) -> Result<String, StatusCode> {
    for lookup in [users.cache, users.backend] {
        let found = lookup.oneshot(id).await;
        if let Some(name) = found.map_err(|_error| StatusCode::BAD_GATEWAY)? {
            let greeting = users.greet.oneshot(name).await;
            return greeting.map_err(|_error| StatusCode::BAD_GATEWAY);
        }
    }
    Err(StatusCode::NOT_FOUND)
}

/// The greeter as a service, whatever its client is made of.
fn greet<T>(client: GreeterClient<T>) -> Greet
where
    T: GrpcService<TonicBody, ResponseBody: Send + 'static, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    T::ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send>,
{
    BoxCloneSyncService::new(service_fn(move |name: String| {
        let mut client = client.clone();
        async move {
            let reply = client.say_hello(HelloRequest { name }).await?;
            Ok::<_, BoxError>(reply.into_inner().message)
        }
    }))
}

/// The slow backend.
async fn load(id: u32) -> Result<Option<String>, BoxError> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok((id == 42).then(|| "Ada".to_owned()))
}

async fn events() -> Body {
    Body::from_stream(stream::unfold(0, |n| async move {
        if n == 3 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(8)).await;
        Some((Ok::<_, Infallible>(format!("event {n}\n")), n + 1))
    }))
}

async fn broken() -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
