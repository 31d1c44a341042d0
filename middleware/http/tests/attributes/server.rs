use std::borrow::Cow;
use std::net::SocketAddr;

use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use opentelemetry::Value;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use towline_http::server::{PeerAddr, TraceLayer};
use towline_test_support::{Caller, Memory, SamplerSpy, TestTracing, attribute};

use crate::{assert_attributes, attributes, exchange, integer, recorded, text};

#[derive(Clone)]
struct Route(&'static str);

fn layer(tracing: &TestTracing) -> TraceLayer<SdkTracer> {
    TraceLayer::from_spans(tracing.spans())
}

/// A layer that is told the route.
fn routed(layer: TraceLayer<SdkTracer>) -> TraceLayer<SdkTracer> {
    layer.with_route(|request| Some(Cow::Borrowed(request.extensions.get::<Route>()?.0)))
}

fn realistic() -> Request<()> {
    Request::get("/users/42?q=abc&sig=x")
        .header("host", "users.example:8080")
        .header("user-agent", "curl/8.7.1")
        .header("accept", "*/*")
        .header("authorization", "Bearer s3cr3t")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "for=192.0.2.2;host=other.example;proto=https")
        .extension(PeerAddr(SocketAddr::from(([198, 51, 100, 7], 54321))))
        .extension(Route("/users/{id}"))
        .body(())
        .unwrap()
}

/// What is known of the request when it arrives.
fn expected_at_start() -> Vec<(&'static str, Value)> {
    vec![
        ("http.request.method", text("GET")),
        ("url.scheme", text("http")),
        ("url.path", text("/users/42")),
        ("url.query", text("q=abc&sig=REDACTED")),
        ("http.route", text("/users/{id}")),
        ("server.address", text("users.example")),
        ("server.port", integer(8080)),
        ("client.address", text("198.51.100.7")),
        ("network.peer.address", text("198.51.100.7")),
        ("network.peer.port", integer(54321)),
        ("network.protocol.version", text("1.1")),
        ("user_agent.original", text("curl/8.7.1")),
    ]
}

fn expected() -> Vec<(&'static str, Value)> {
    let status = ("http.response.status_code", integer(200));
    expected_at_start().into_iter().chain([status]).collect()
}

#[test]
fn a_realistic_root_has_every_attribute_and_no_other() {
    let tracing = TestTracing::always();
    let span = recorded(&tracing, routed(layer(&tracing)), realistic());
    assert_eq!(span.name, "GET /users/{id}");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_attributes(&span, &expected());
    assert_eq!(span.dropped_attributes_count, 0);
}

#[test]
fn a_span_under_a_sampled_caller_is_described_the_same() {
    let tracing = TestTracing::never();
    let mut request = realistic();
    let traceparent = Caller::sampled().traceparent().try_into().unwrap();
    request.headers_mut().insert("traceparent", traceparent);
    let span = recorded(&tracing, routed(layer(&tracing)), request);
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
    let layer = routed(TraceLayer::new(provider.tracer("test")));
    exchange(layer, realistic(), Response::new(()));

    let asked = spy.asked().remove(0);
    assert_eq!(asked.name, "GET /users/{id}");
    assert_eq!(asked.kind, SpanKind::Server);
    let seen = asked.attributes.into_iter();
    let mut seen: Vec<_> = seen
        .map(|seen| (seen.key.to_string(), seen.value))
        .collect();
    let mut expected: Vec<_> = expected_at_start()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen, expected);
    assert_attributes(&memory.finished()[0], &self::expected());
}

#[test]
fn the_least_request_has_the_required_attributes_alone() {
    let tracing = TestTracing::always();
    let span = recorded(&tracing, layer(&tracing), Request::new(()));
    assert_eq!(span.name, "GET");
    assert_attributes(
        &span,
        &[
            ("http.request.method", text("GET")),
            ("url.scheme", text("http")),
            ("url.path", text("/")),
            ("network.protocol.version", text("1.1")),
            ("http.response.status_code", integer(200)),
        ],
    );
}

#[test]
fn the_status_code_is_an_integer_whatever_it_is() {
    for status in [200, 404, 503, 999] {
        let tracing = TestTracing::always();
        let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        let response = response.body(()).unwrap();
        exchange(layer(&tracing), Request::new(()), response);
        assert_eq!(
            attribute(&tracing.only(), "http.response.status_code"),
            Some(integer(status.into()))
        );
    }
}

/// The address and the port of the server, by target and `Host`.
#[track_caller]
fn assert_server(target: &str, host: Option<&[u8]>, expected: Option<(&str, Option<i64>)>) {
    let tracing = TestTracing::always();
    let mut request = Request::builder().uri(target).body(()).unwrap();
    if let Some(host) = host {
        let host = HeaderValue::from_bytes(host).unwrap();
        request.headers_mut().insert("host", host);
    }
    let span = recorded(&tracing, layer(&tracing), request);
    let (address, port) = expected.unzip();
    assert_eq!(
        attribute(&span, "server.address"),
        address.map(text),
        "{target} {host:?}"
    );
    assert_eq!(
        attribute(&span, "server.port"),
        port.flatten().map(integer),
        "{target} {host:?}"
    );
}

#[test]
fn the_server_s_name_comes_from_the_authority_or_else_from_host() {
    for (target, host, expected) in [
        ("/", None, None),
        ("/", Some(&b"a.example"[..]), Some(("a.example", None))),
        ("/", Some(b"a.example:80"), Some(("a.example", Some(80)))),
        (
            "/",
            Some(b"[2001:db8::1]:443"),
            Some(("2001:db8::1", Some(443))),
        ),
        ("/", Some(b"[::1]"), Some(("::1", None))),
        ("/", Some(b"127.0.0.1:1"), Some(("127.0.0.1", Some(1)))),
        // HTTP/2 and the absolute form of HTTP/1.
        ("https://a.example/", None, Some(("a.example", None))),
        ("http://a.example:81/", None, Some(("a.example", Some(81)))),
        (
            "http://a.example:81/",
            Some(b"b:9"),
            Some(("a.example", Some(81))),
        ),
        ("http://[::1]:82/", None, Some(("::1", Some(82)))),
        ("http://me:pass@a.example/", None, Some(("a.example", None))),
        ("a.example:443", None, Some(("a.example", Some(443)))), // CONNECT
        // Nothing that could be an address.
        ("/", Some(b""), None),
        ("/", Some(b":80"), None),
        ("/", Some(b"[::1"), None),
        ("/", Some(b"caf\xe9.example"), None),
        ("/", Some(b"a.example:http"), Some(("a.example", None))),
        ("/", Some(b"a.example:65536"), Some(("a.example", None))),
    ] {
        assert_server(target, host, expected);
    }
}

#[test]
fn the_scheme_is_what_the_user_says_or_the_target_or_http() {
    for (target, said, expected) in [
        ("/", None, "http"),
        ("https://a.example/", None, "https"),
        ("http://a.example/", None, "http"),
        ("/", Some(Scheme::HTTPS), "https"),
        ("http://a.example/", Some(Scheme::HTTPS), "https"),
        ("ws://a.example/", None, "ws"),
    ] {
        let tracing = TestTracing::always();
        let mut layer = layer(&tracing);
        if let Some(scheme) = said {
            layer = layer.with_scheme(scheme);
        }
        let request = Request::builder().uri(target).body(()).unwrap();
        let span = recorded(&tracing, layer, request);
        assert_eq!(attribute(&span, "url.scheme"), Some(text(expected)));
    }
}

#[test]
fn the_path_and_the_query_are_those_of_the_target() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/users/42", "/users/42", None),
        ("/users/42?", "/users/42", Some("")),
        ("/a%20b/%2e?x=%26&y", "/a%20b/%2e", Some("x=%26&y")),
        ("http://a.example", "/", None),
        ("http://a.example?x", "/", Some("x")),
        ("http://a.example/b?x", "/b", Some("x")),
        ("*", "*", None),
        ("//double//slash", "//double//slash", None),
    ] {
        let tracing = TestTracing::always();
        let request = Request::builder().uri(target).body(()).unwrap();
        let span = recorded(&tracing, layer(&tracing), request);
        assert_eq!(attribute(&span, "url.path"), Some(text(path)), "{target}");
        assert_eq!(attribute(&span, "url.query"), query.map(text), "{target}");
    }
}

#[test]
fn every_version_of_the_protocol_has_its_number() {
    for (version, expected) in [
        (Version::HTTP_09, "0.9"),
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ] {
        let tracing = TestTracing::always();
        let request = Request::builder().version(version).body(()).unwrap();
        let span = recorded(&tracing, layer(&tracing), request);
        let recorded = attribute(&span, "network.protocol.version");
        assert_eq!(recorded, Some(text(expected)));
    }
}

#[test]
fn the_peer_is_the_connection_s_whatever_the_headers_say() {
    for (peer, expected) in [
        ("203.0.113.9:1", "203.0.113.9"),
        ("[2001:db8::7]:65535", "2001:db8::7"),
        ("[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1"),
    ] {
        let tracing = TestTracing::always();
        let peer: SocketAddr = peer.parse().unwrap();
        let mut request = realistic();
        request.extensions_mut().insert(PeerAddr(peer));
        let span = recorded(&tracing, layer(&tracing), request);
        let found = attributes(&span);
        assert_eq!(found["client.address"], text(expected));
        assert_eq!(found["network.peer.address"], text(expected));
        assert_eq!(found["network.peer.port"], integer(peer.port().into()));
    }
}

#[test]
fn the_peer_comes_from_wherever_the_user_says() {
    #[derive(Clone)]
    struct Mine(SocketAddr);

    let tracing = TestTracing::always();
    let layer = layer(&tracing).with_peer(|request| Some(request.extensions.get::<Mine>()?.0));
    let mut request = realistic();
    let mine = Mine(SocketAddr::from(([192, 0, 2, 3], 4)));
    request.extensions_mut().insert(mine);
    let span = recorded(&tracing, layer, request);
    assert_eq!(attribute(&span, "client.address"), Some(text("192.0.2.3")));
    assert_eq!(attribute(&span, "network.peer.port"), Some(integer(4)));
}

#[test]
fn a_route_that_is_not_known_is_not_made_up() {
    let tracing = TestTracing::always();
    let mut request = realistic();
    request.extensions_mut().remove::<Route>();
    let span = recorded(&tracing, routed(layer(&tracing)), request);
    assert_eq!(span.name, "GET");
    assert_eq!(attribute(&span, "http.route"), None);
}

#[test]
fn the_functions_of_the_user_are_asked_for_recorded_requests_only() {
    for (tracing, expected) in [
        (TestTracing::always(), true),
        (TestTracing::never(), false),
        (TestTracing::off(), false),
    ] {
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (by_route, by_peer) = (asked.clone(), asked.clone());
        let layer = layer(&tracing)
            .with_route(move |_request| {
                by_route.store(true, std::sync::atomic::Ordering::SeqCst);
                None
            })
            .with_peer(move |_request| {
                by_peer.store(true, std::sync::atomic::Ordering::SeqCst);
                None
            });
        exchange(layer, realistic(), Response::new(()));
        let asked = asked.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(asked, expected, "{tracing:?}");
    }
}

#[test]
fn a_function_of_the_user_sees_the_whole_head() {
    let tracing = TestTracing::always();
    let layer = layer(&tracing).with_route(|request| {
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.uri, &Uri::from_static("/users/42?q=abc&sig=x"));
        assert_eq!(request.version, Version::HTTP_11);
        assert_eq!(request.headers["host"], "users.example:8080");
        assert!(request.extensions.get::<PeerAddr>().is_some());
        Some(Cow::Owned("/made".to_owned()))
    });
    let span = recorded(&tracing, layer, realistic());
    assert_eq!(span.name, "GET /made");
    assert_eq!(attribute(&span, "http.route"), Some(text("/made")));
}

#[test]
fn a_user_agent_that_is_not_utf_8_is_recorded_as_far_as_it_goes() {
    for (value, expected) in [
        (&b""[..], ""),
        (b"curl/8.7.1", "curl/8.7.1"),
        ("caf\u{e9}/1".as_bytes(), "caf\u{e9}/1"),
        (b"caf\xe9/1", "caf\u{fffd}/1"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
    ] {
        let tracing = TestTracing::always();
        let mut request = Request::new(());
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().insert("user-agent", value);
        let span = recorded(&tracing, layer(&tracing), request);
        let recorded = attribute(&span, "user_agent.original");
        assert_eq!(recorded, Some(text(expected)));
    }
}
