//! A reqwest client under our client layer, and a server under our server layer.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::time::Duration;

use http::header::LOCATION;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::body::Incoming;
use opentelemetry_sdk::trace::SdkTracer;
use tower::{Layer, Service, service_fn};
use towline_http::client::reqwest::Client;
use towline_integration::{
    Body, BodyError, Hop, Server, assert_joined, empty, full, scripted, within,
};
use towline_span::Outcome;
use towline_test_support::{BodyStep, assert_outcome, attribute, text_attribute};

fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn traced(hop: &Hop) -> Client<SdkTracer> {
    Client::new(plain(), &hop.client_layer())
}

async fn serving<H>(hop: &Hop, handler: H) -> Server
where
    H: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    Server::start(hop.server_layer().layer(handler)).await
}

async fn hello(_request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(full("hello")))
}

fn url(server: &Server, path: &str) -> String {
    server.uri(path).to_string()
}

#[tokio::test]
async fn a_request_is_joined_and_the_response_is_reqwest_s_own() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = serving(&callee, service_fn(hello)).await;
    let request = plain().get(url(&server, "/users/42?q=1")).build().unwrap();
    let response = within(traced(&caller).execute(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().as_str(), url(&server, "/users/42?q=1"));
    assert_eq!(response.remote_addr(), Some(server.address()));
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(within(response.text()).await.unwrap(), "hello");

    let (client, server) = (caller.only().await, callee.only().await);
    assert_joined(&server, &client);
    assert_outcome(&client, Outcome::Completed);
    assert_eq!(
        attribute(&client, "network.protocol.version"),
        Some("1.1".into())
    );
}

#[tokio::test]
async fn a_body_that_is_sent_arrives() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let echo = service_fn(async |request: Request<Incoming>| {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(full(body)))
    });
    let server = serving(&callee, echo).await;
    let request = plain()
        .post(url(&server, "/"))
        .body("a question")
        .build()
        .unwrap();
    let response = within(traced(&caller).execute(request)).await.unwrap();
    assert_eq!(within(response.text()).await.unwrap(), "a question");
    assert_joined(&callee.only().await, &caller.only().await);
}

#[tokio::test]
async fn the_span_lasts_as_long_as_the_body() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let (mut sender, body) = Channel::<_, BodyError>::new(1);
    let body = std::sync::Mutex::new(Some(body.boxed_unsync()));
    let body = std::sync::Arc::new(body);
    let server = serving(
        &callee,
        service_fn(move |_request: Request<Incoming>| {
            let body = body.lock().unwrap().take().unwrap();
            ready(Ok(Response::new(body)))
        }),
    )
    .await;
    let request = plain().get(url(&server, "/")).build().unwrap();
    let mut response = within(traced(&caller).execute(request)).await.unwrap();
    sender.send_data("first".into()).await.unwrap();
    assert_eq!(within(response.chunk()).await.unwrap().unwrap(), "first");
    assert_eq!(caller.finished().len(), 0);
    drop(sender);
    assert_eq!(within(response.chunk()).await.unwrap(), None);
    assert_outcome(&caller.only().await, Outcome::Completed);
    assert_joined(&callee.only().await, &caller.only().await);
}

#[tokio::test]
async fn a_redirect_is_one_span_at_the_caller_and_the_parent_of_both_servers() {
    let (caller, first_hop, second_hop) = (Hop::always(), Hop::always(), Hop::always());
    let second = serving(&second_hop, service_fn(hello)).await;
    let there: Uri = second.uri("/there");
    let first = serving(
        &first_hop,
        service_fn(move |_request: Request<Incoming>| {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::FOUND;
            let location = there.to_string().parse().unwrap();
            response.headers_mut().insert(LOCATION, location);
            ready(Ok(response))
        }),
    )
    .await;
    let request = plain().get(url(&first, "/here")).build().unwrap();
    let response = within(traced(&caller).execute(request)).await.unwrap();
    assert_eq!(response.url().as_str(), url(&second, "/there"));
    assert_eq!(within(response.text()).await.unwrap(), "hello");

    let client = caller.only().await;
    assert_joined(&first_hop.only().await, &client);
    assert_joined(&second_hop.only().await, &client);
    assert_eq!(
        attribute(&client, "http.response.status_code"),
        Some(200.into())
    );
    assert_eq!(
        text_attribute(&client, "url.full"),
        Some(url(&first, "/here"))
    );
}

/// Short, since it passes every time.
const TIMEOUT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_timeout_of_the_request_before_the_head_is_a_failed_span() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = serving(&callee, service_fn(|_request: Request<Incoming>| pending())).await;
    let request = plain()
        .get(url(&server, "/"))
        .timeout(TIMEOUT)
        .build()
        .unwrap();
    let error = within(traced(&caller).execute(request)).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");

    let (client, server) = (caller.only().await, callee.only().await);
    assert_joined(&server, &client);
    assert_outcome(&client, Outcome::Failed);
    assert_eq!(
        text_attribute(&client, "error.type").as_deref(),
        Some("reqwest::error::Error")
    );
    assert_outcome(&server, Outcome::CancelledBeforeResponse);
}

#[tokio::test]
async fn a_timeout_of_the_request_during_the_body_is_a_failed_span() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let server = serving(
        &callee,
        service_fn(|_request: Request<Incoming>| {
            let (body, _probe) = scripted([BodyStep::data("first"), BodyStep::Hang]);
            ready(Ok(Response::new(body)))
        }),
    )
    .await;
    let request = plain()
        .get(url(&server, "/"))
        .timeout(TIMEOUT)
        .build()
        .unwrap();
    let response = within(traced(&caller).execute(request)).await.unwrap();
    let error = within(response.bytes()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");

    let (client, server) = (caller.only().await, callee.only().await);
    assert_joined(&server, &client);
    assert_outcome(&client, Outcome::Failed);
    assert_eq!(
        attribute(&client, "http.response.status_code"),
        Some(200.into())
    );
    assert_outcome(&server, Outcome::CancelledDuringBody);
}

#[tokio::test]
async fn a_request_that_is_given_up_is_cancelled_on_both_sides() {
    let (caller, callee) = (Hop::always(), Hop::always());
    let (call, mut called) = tokio::sync::mpsc::unbounded_channel();
    let server = serving(
        &callee,
        service_fn(move |_request: Request<Incoming>| {
            call.send(()).unwrap();
            pending()
        }),
    )
    .await;
    let (client, request) = (
        traced(&caller),
        plain().get(url(&server, "/")).build().unwrap(),
    );
    let asking = tokio::spawn(async move { client.execute(request).await });
    within(called.recv()).await.unwrap();
    asking.abort();

    let (client, server) = (caller.only().await, callee.only().await);
    assert_joined(&server, &client);
    assert_outcome(&client, Outcome::CancelledBeforeResponse);
    assert_outcome(&server, Outcome::CancelledBeforeResponse);
}
