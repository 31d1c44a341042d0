use std::borrow::Cow;

use http::{Method, Request, Response, Version};
use opentelemetry::Value;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use towline_http::client::TraceLayer;
use towline_test_support::{Caller, Memory, SamplerSpy, TestTracing, attribute};

use crate::{assert_attributes, exchange, integer, recorded, text};

#[derive(Clone)]
struct Template(&'static str);

fn layer(tracing: &TestTracing) -> TraceLayer<SdkTracer> {
    TraceLayer::from_spans(tracing.spans())
}

/// A layer that is told the template.
fn templated(layer: TraceLayer<SdkTracer>) -> TraceLayer<SdkTracer> {
    layer.with_template(|request| Some(Cow::Borrowed(request.extensions.get::<Template>()?.0)))
}

fn realistic() -> Request<()> {
    Request::get("http://users.example:8080/users/42?q=abc&sig=x")
        .header("user-agent", "towline")
        .header("authorization", "Bearer s3cr3t")
        .extension(Template("/users/{id}"))
        .body(())
        .unwrap()
}

fn expected_at_start() -> Vec<(&'static str, Value)> {
    vec![
        (
            "url.full",
            text("http://users.example:8080/users/42?q=abc&sig=REDACTED"),
        ),
        ("http.request.method", text("GET")),
        ("server.address", text("users.example")),
        ("server.port", integer(8080)),
        ("url.template", text("/users/{id}")),
    ]
}

fn expected() -> Vec<(&'static str, Value)> {
    let answered = [
        ("http.response.status_code", integer(200)),
        ("network.protocol.version", text("1.1")),
    ];
    expected_at_start().into_iter().chain(answered).collect()
}

#[test]
fn a_realistic_root_has_every_attribute_and_no_other() {
    let tracing = TestTracing::always();
    let span = recorded(&tracing, templated(layer(&tracing)), realistic());
    assert_eq!(span.name, "GET /users/{id}");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_attributes(&span, &expected());
    assert_eq!(span.dropped_attributes_count, 0);
}

#[test]
fn a_span_under_a_sampled_parent_is_described_the_same() {
    let tracing = TestTracing::never();
    let parent = Caller::sampled().context().attach();
    let span = recorded(&tracing, templated(layer(&tracing)), realistic());
    drop(parent);
    assert_eq!(span.name, "GET /users/{id}");
    assert_attributes(&span, &expected());
}

#[test]
fn a_foreign_sampler_sees_every_attribute_and_the_name_at_the_start() {
    use opentelemetry::trace::TracerProvider;

    let (spy, memory) = (SamplerSpy::new(Sampler::AlwaysOn), Memory::new());
    let provider = SdkTracerProvider::builder()
        .with_sampler(spy.clone())
        .with_span_processor(memory.clone())
        .build();
    let layer = templated(TraceLayer::new(provider.tracer("test")));
    exchange(layer, realistic(), Response::new(()));

    let asked = spy.asked().remove(0);
    assert_eq!(asked.name, "GET /users/{id}");
    assert_eq!(asked.kind, SpanKind::Client);
    let seen: Vec<_> = asked
        .attributes
        .iter()
        .map(|seen| (seen.key.as_str(), seen.value.clone()))
        .collect();
    assert_eq!(seen, expected_at_start());
    assert_attributes(&memory.finished()[0], &expected());
}

#[test]
fn a_target_without_a_template_gives_its_method_as_the_name() {
    let tracing = TestTracing::always();
    let mut request = realistic();
    request.extensions_mut().remove::<Template>();
    let span = recorded(&tracing, templated(layer(&tracing)), request);
    assert_eq!(span.name, "GET");
    assert_eq!(attribute(&span, "url.template"), None);
}

#[test]
fn the_target_is_recorded_whole_but_for_its_secrets() {
    for (target, expected) in [
        ("http://a.example", "http://a.example/"),
        ("http://a.example/b?c=d", "http://a.example/b?c=d"),
        ("https://a.example:444/?", "https://a.example:444/?"),
        ("http://[2001:db8::1]:81/b", "http://[2001:db8::1]:81/b"),
        (
            "http://me:pass@a.example/",
            "http://REDACTED:REDACTED@a.example/",
        ),
        (
            "http://me@a.example/b",
            "http://REDACTED:REDACTED@a.example/b",
        ),
        (
            "http://me:p@[::1]:81/",
            "http://REDACTED:REDACTED@[::1]:81/",
        ),
        (
            "http://me:p@ss@a.example/b",
            "http://REDACTED:REDACTED@a.example/b",
        ),
        (
            "http://me:pass@a.example/?sig=1&b",
            "http://REDACTED:REDACTED@a.example/?sig=REDACTED&b",
        ),
        ("/origin?form", "/origin?form"),
        ("a.example:443", "a.example:443"), // CONNECT
    ] {
        let tracing = TestTracing::always();
        let request = Request::builder().uri(target).body(()).unwrap();
        let span = recorded(&tracing, layer(&tracing), request);
        assert_eq!(attribute(&span, "url.full"), Some(text(expected)));
    }
}

#[test]
fn the_server_is_the_target_s_with_the_scheme_s_port_unless_it_names_one() {
    for (target, host, expected) in [
        ("http://a.example/", None, Some(("a.example", Some(80)))),
        ("https://a.example/", None, Some(("a.example", Some(443)))),
        ("https://a.example:1/", None, Some(("a.example", Some(1)))),
        ("http://[::1]/", None, Some(("::1", Some(80)))),
        ("http://[::1]:81/", None, Some(("::1", Some(81)))),
        (
            "http://me:p@a.example/",
            None,
            Some(("a.example", Some(80))),
        ),
        ("ws://a.example/", None, Some(("a.example", None))),
        (
            "http://a.example/",
            Some("b:2"),
            Some(("a.example", Some(80))),
        ),
        ("/", Some("b.example"), Some(("b.example", None))),
        ("/", Some("b.example:2"), Some(("b.example", Some(2)))),
        ("/", None, None),
    ] {
        let tracing = TestTracing::always();
        let mut request = Request::builder().uri(target);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let span = recorded(&tracing, layer(&tracing), request.body(()).unwrap());
        let (address, port) = expected.unzip();
        let found = attribute(&span, "server.address");
        assert_eq!(found, address.map(text), "{target}");
        let found = attribute(&span, "server.port");
        assert_eq!(found, port.flatten().map(integer), "{target}");
    }
}

#[test]
fn the_version_is_that_of_the_answer() {
    for (version, expected) in [
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ] {
        let tracing = TestTracing::always();
        let response = Response::builder().version(version).body(()).unwrap();
        exchange(layer(&tracing), realistic(), response);
        let found = attribute(&tracing.only(), "network.protocol.version");
        assert_eq!(found, Some(text(expected)));
    }
}

#[test]
fn a_function_of_the_user_is_asked_for_recorded_requests_only() {
    for (tracing, expected) in [
        (TestTracing::always(), true),
        (TestTracing::never(), false),
        (TestTracing::off(), false),
    ] {
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let by_template = asked.clone();
        let layer = layer(&tracing).with_template(move |request| {
            assert_eq!(request.method, Method::GET);
            by_template.store(true, std::sync::atomic::Ordering::SeqCst);
            None
        });
        exchange(layer, realistic(), Response::new(()));
        let asked = asked.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(asked, expected, "{tracing:?}");
    }
}

#[test]
fn the_peer_is_recorded_where_the_response_tells_it() {
    let peer: std::net::SocketAddr = "[2001:db8::1]:443".parse().unwrap();
    let answer = || {
        Response::builder()
            .extension(towline_http::PeerAddr(peer))
            .body(())
            .unwrap()
    };
    let tracing = TestTracing::always();
    exchange(layer(&tracing), realistic(), answer());
    let span = tracing.only();
    assert_eq!(
        attribute(&span, "network.peer.address"),
        Some(text("2001:db8::1"))
    );
    assert_eq!(attribute(&span, "network.peer.port"), Some(integer(443)));

    let tracing = TestTracing::always();
    exchange(layer(&tracing).with_peer(|_| None), realistic(), answer());
    assert_eq!(attribute(&tracing.only(), "network.peer.address"), None);
}
