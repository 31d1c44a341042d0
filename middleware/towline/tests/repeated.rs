//! What requests have in common is put together once and copied from then on: nothing that it depends on may be missed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderValue, Request, Response, Version};
use serde_json::Value;
use support::{Onlooker, spans};
use tower::{Layer, ServiceExt, service_fn};
use towline::http::PeerAddr;
use towline::{Config, Environment, HttpClientLayer, HttpServerLayer, Towline};

/// Layers that differ in one option, all made from the first.
fn servers(tracing: &Towline) -> Vec<HttpServerLayer> {
    let first = tracing
        .http_server()
        .with_route(|request| Some(request.uri.path().strip_prefix("/routed")?.into()));
    vec![
        first.clone(),
        first.clone().with_scheme(http::uri::Scheme::HTTPS),
        first.clone().with_known_methods([http::Method::POST]),
        first.clone().with_value_limit_bytes(5),
        first.clone().with_route(|_| Some("another".into())),
        first,
    ]
}

fn clients(tracing: &Towline) -> Vec<HttpClientLayer> {
    let first = tracing
        .http_client()
        .with_template(|request| Some(request.uri.path().strip_prefix("/routed")?.into()));
    vec![
        first.clone(),
        first.clone().with_known_methods([http::Method::POST]),
        first.clone().with_value_limit_bytes(5),
        first.clone().with_template(|_| Some("another".into())),
        first,
    ]
}

/// Requests that differ from the first in one thing.
fn requests() -> Vec<Request<()>> {
    fn but(change: impl FnOnce(&mut Request<()>)) -> Request<()> {
        let mut request = Request::get("http://users.example:8080/routed/a")
            .header("user-agent", "curl/8.7.1")
            .extension(PeerAddr(SocketAddr::from(([192, 0, 2, 1], 1))))
            .body(())
            .unwrap();
        change(&mut request);
        request
    }
    let target = |target: &'static str| but(|it| *it.uri_mut() = target.parse().unwrap());
    let agent = |value: &'static [u8]| {
        but(|it| {
            let value = HeaderValue::from_bytes(value).unwrap();
            it.headers_mut().insert("user-agent", value);
        })
    };
    let host = |value: &'static [u8]| {
        but(|it| {
            *it.uri_mut() = "/routed/a".parse().unwrap();
            let value = HeaderValue::from_bytes(value).unwrap();
            it.headers_mut().insert("host", value);
        })
    };
    let peer = |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        but(|it| {
            it.extensions_mut().insert(PeerAddr(address));
        })
    };
    vec![
        but(|_| {}),
        but(|it| *it.method_mut() = http::Method::POST),
        but(|it| *it.method_mut() = "BREW".parse().unwrap()),
        but(|it| *it.method_mut() = "STEW".parse().unwrap()),
        but(|it| *it.method_mut() = "QUERY".parse().unwrap()),
        but(|it| *it.version_mut() = Version::HTTP_09),
        but(|it| *it.version_mut() = Version::HTTP_10),
        but(|it| *it.version_mut() = Version::HTTP_2),
        but(|it| *it.version_mut() = Version::HTTP_3),
        target("https://users.example:8080/routed/a"),
        target("ftp://users.example:8080/routed/a"),
        target("ws://users.example:8080/routed/a"),
        target("http://users.example:8081/routed/a"),
        target("http://users.example/routed/a"),
        target("https://users.example/routed/a"),
        target("http://other.example:8080/routed/a"),
        target("http://[2001:db8::1]:8080/routed/a"),
        target("http://users.example:8080/routed/b"),
        target("http://users.example:8080/routed"),
        target("http://users.example:8080/a"),
        target("http://users.example:8080/routed/a?q=1"),
        target("/routed/a"),
        host(b"users.example:8080"),
        host(b"b\xfccher.example"),
        host(b""),
        agent(b"curl/8.7.2"),
        agent(b""),
        agent(b"b\xfccher/1"),
        but(|it| drop(it.headers_mut().remove("user-agent"))),
        peer("192.0.2.1:2"),
        peer("192.0.2.2:1"),
        peer("192.0.3.1:1"),
        peer("192.1.2.1:1"),
        peer("193.0.2.1:1"),
        peer("[2001:db8::1]:1"),
        peer("[2001:db8::2]:1"),
        peer("[2001:db9::1]:1"),
        peer("[::ffff:192.0.2.1]:1"),
        but(|it| {
            it.extensions_mut().remove::<PeerAddr>();
        }),
    ]
}

/// The spans of all requests through all layers, several times, without what differs anyway.
fn recorded<L>(
    by_sdk: bool,
    layers: fn(&Towline) -> Vec<L>,
    requests: fn() -> Vec<Request<()>>,
) -> Vec<Value>
where
    L: Layer<Answer>,
    L::Service: tower::Service<Request<()>, Error = Infallible>,
{
    let directory = tempfile::tempdir().unwrap();
    let config = "tracing_service: { enabled: yes, sampling_rate_per_million: 1000000 }";
    let mut builder = Towline::builder()
        .with_environment(Environment::empty())
        .with_config(Config::from_yaml(config).unwrap())
        .with_exporter_url(format!("file://{}", directory.path().display()));
    if by_sdk {
        builder = builder.with_span_processor(Onlooker);
    }
    let tracing = builder.build().unwrap();
    let layers = layers(&tracing);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut made = 0;
    let mut send = |layer: &L, request| {
        let service = layer.layer(service_fn(answer as fn(Request<()>) -> Answered));
        drop(runtime.block_on(service.oneshot(request)).unwrap());
        made += 1;
    };
    // Each in a row, so that it is kept and copied, and then all beside each other.
    for n in 0..requests().len() {
        for layer in &layers {
            for _ in 0..3 {
                send(layer, requests().swap_remove(n));
            }
        }
    }
    for _ in 0..2 {
        for layer in &layers {
            requests()
                .into_iter()
                .for_each(|request| send(layer, request));
        }
    }
    tracing.blocking_shutdown(Duration::from_secs(30)).unwrap();
    let mut spans: Vec<_> = spans(directory.path())
        .into_iter()
        .map(|it| it.span)
        .collect();
    assert_eq!(spans.len(), made);
    for span in &mut spans {
        let fields = span.as_object_mut().unwrap();
        fields
            .retain(|key, _| !key.ends_with("Id") && !key.ends_with("UnixNano") && key != "flags");
    }
    spans
}

type Answered = std::future::Ready<Result<Response<String>, Infallible>>;
type Answer = tower::util::ServiceFn<fn(Request<()>) -> Answered>;

fn answer(_request: Request<()>) -> Answered {
    std::future::ready(Ok(Response::new(String::new())))
}

#[track_caller]
fn assert_same<L>(layers: fn(&Towline) -> Vec<L>, requests: fn() -> Vec<Request<()>>)
where
    L: Layer<Answer>,
    L::Service: tower::Service<Request<()>, Error = Infallible>,
{
    let (itself, by_sdk) = (
        recorded(false, layers, requests),
        recorded(true, layers, requests),
    );
    assert_eq!(itself.len(), by_sdk.len());
    for (n, (itself, by_sdk)) in itself.iter().zip(&by_sdk).enumerate() {
        assert!(
            itself == by_sdk,
            "{n}: itself: {itself:#}\nby the SDK: {by_sdk:#}"
        );
    }
}

#[test]
fn of_requests_that_are_received() {
    assert_same(servers, requests);
}

#[test]
fn of_requests_that_are_sent() {
    assert_same(clients, requests);
}

#[cfg(feature = "grpc-layers")]
mod grpc {
    use http::Request;
    use towline::{GrpcClientLayer, GrpcServerLayer, Towline};

    fn servers(tracing: &Towline) -> Vec<GrpcServerLayer> {
        let first = tracing.grpc_server();
        vec![
            first.clone(),
            first.clone().with_methods(["users.Users/Get"]),
            first,
        ]
    }

    fn clients(tracing: &Towline) -> Vec<GrpcClientLayer> {
        let first = tracing.grpc_client();
        vec![
            first.clone(),
            first.clone().with_methods(["users.Users/Get"]),
            first.clone().with_server("users.example", 1),
            first.clone().with_server("users.example", 2),
            first.clone().with_server("other.example", 2),
            first,
        ]
    }

    fn calls() -> Vec<Request<()>> {
        let targets = [
            "http://users.example:50051/users.Users/Get",
            "http://users.example:50051/users.Users/Put",
            "http://users.example:50052/users.Users/Get",
            "http://users.example/users.Users/Get",
            "http://other.example:50051/users.Users/Get",
            "http://users.example:50051/nothing",
            "http://users.example:50051/",
            "/users.Users/Get",
        ];
        let call = |target: &&str| Request::post(*target).body(()).unwrap();
        let mut calls: Vec<_> = targets.iter().map(call).collect();
        // What a generated client has named is a method that there is.
        let mut named = call(&targets[0]);
        let method = tonic::GrpcMethod::new("users.Users", "Get");
        named.extensions_mut().insert(method);
        calls.push(named);
        calls.extend(super::requests());
        calls
    }

    #[test]
    fn of_calls_that_are_received() {
        super::assert_same(servers, calls);
    }

    #[test]
    fn of_calls_that_are_sent() {
        super::assert_same(clients, calls);
    }
}
