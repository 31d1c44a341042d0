//! What a caller chooses is bounded before it is kept; the SDK does not see to it.

use http::{HeaderValue, Method, Request};
use opentelemetry::Value;
use opentelemetry_sdk::trace::SpanData;
use towline_http::{DEFAULT_VALUE_LIMIT_BYTES, client, server};
use towline_test_support::{TestTracing, attribute};

use crate::{recorded, text};

fn of_server(limit: Option<usize>, request: Request<()>) -> SpanData {
    let tracing = TestTracing::always();
    let mut layer = server::TraceLayer::from_spans(tracing.spans());
    if let Some(limit) = limit {
        layer = layer.with_value_limit_bytes(limit);
    }
    recorded(&tracing, layer, request)
}

fn of_client(limit: Option<usize>, request: Request<()>) -> SpanData {
    let tracing = TestTracing::always();
    let mut layer = client::TraceLayer::from_spans(tracing.spans());
    if let Some(limit) = limit {
        layer = layer.with_value_limit_bytes(limit);
    }
    recorded(&tracing, layer, request)
}

/// A request that is huge in everything it can be huge in.
fn giant() -> Request<()> {
    let target = format!(
        "http://{}/{}?{}",
        "h".repeat(20_000),
        "p".repeat(20_000),
        "q".repeat(20_000)
    );
    let agent = HeaderValue::from_bytes(&b"\xff".repeat(1_000_000)).unwrap();
    Request::builder()
        .method(Method::from_bytes(&b"M".repeat(100_000)).unwrap())
        .uri(target)
        .header("user-agent", agent)
        .body(())
        .unwrap()
}

fn longest(span: &SpanData) -> usize {
    let values = span.attributes.iter().map(|attribute| &attribute.value);
    let lengths = values.map(|value| match value {
        Value::String(text) => text.as_str().len(),
        _ => 0,
    });
    lengths.max().unwrap()
}

#[test]
fn giants_are_cut_at_2048_bytes() {
    assert_eq!(DEFAULT_VALUE_LIMIT_BYTES, 2048);
    let server = of_server(None, giant());
    for (key, byte) in [
        ("http.request.method_original", "M"),
        ("url.path", "/p"),
        ("url.query", "q"),
        ("server.address", "h"),
    ] {
        let Some(Value::String(value)) = attribute(&server, key) else {
            panic!("{key} is there and a string");
        };
        assert_eq!(value.as_str().len(), 2048, "{key}");
        assert!(value.as_str().starts_with(byte), "{key}");
    }
    // A replacement character takes three bytes, which do not go into 2,048 without a rest.
    let agent = attribute(&server, "user_agent.original");
    assert_eq!(agent, Some(text(&"\u{fffd}".repeat(2048 / 3))));
    assert_eq!((server.name.as_ref(), longest(&server)), ("HTTP", 2048));

    let client = of_client(None, giant());
    let url = format!("http://{}", "h".repeat(2048 - 7));
    assert_eq!(attribute(&client, "url.full"), Some(text(&url)));
    assert_eq!((client.name.as_ref(), longest(&client)), ("HTTP", 2048));
}

#[test]
fn the_limit_is_the_user_s_to_set() {
    let request = || {
        Request::get("http://users.example/users/42?query")
            .header("user-agent", "curl/8.7.1")
            .body(())
            .unwrap()
    };
    let server = of_server(Some(5), request());
    for (key, expected) in [
        ("url.path", "/user"),
        ("url.query", "query"),
        ("server.address", "users"),
        ("user_agent.original", "curl/"),
    ] {
        assert_eq!(attribute(&server, key), Some(text(expected)));
    }
    let client = of_client(Some(17), request());
    let url = attribute(&client, "url.full");
    assert_eq!(url, Some(text("http://users.exam")));
    let nothing = of_server(Some(0), request());
    assert_eq!(attribute(&nothing, "url.path"), Some(text("")));
}

#[test]
fn a_value_as_long_as_the_limit_is_whole() {
    let request = || Request::get("/users").body(()).unwrap();
    for (limit, expected) in [(5, "/user"), (6, "/users"), (7, "/users")] {
        let span = of_server(Some(limit), request());
        assert_eq!(attribute(&span, "url.path"), Some(text(expected)));
        let span = of_client(Some(limit), request());
        assert_eq!(attribute(&span, "url.full"), Some(text(expected)));
    }
}

#[test]
fn a_value_is_cut_between_characters() {
    for (limit, expected) in [(1, "a"), (2, "a"), (4, "a"), (5, "a🦀"), (6, "a🦀b")] {
        let agent = HeaderValue::from_bytes("a🦀b".as_bytes()).unwrap();
        let request = Request::get("/").header("user-agent", agent);
        let span = of_server(Some(limit), request.body(()).unwrap());
        let agent = attribute(&span, "user_agent.original");
        assert_eq!(agent, Some(text(expected)));
    }
}

#[test]
fn a_secret_is_replaced_before_the_value_is_cut() {
    // Cut first, the key would lose its value's end, or itself, and the secret would stand.
    let request = || Request::get("/?sig=s3cr3t").body(()).unwrap();
    for limit in 0..20 {
        for span in [
            of_server(Some(limit), request()),
            of_client(Some(limit), request()),
        ] {
            let shown = format!("{span:?}");
            assert!(!shown.contains("s3c"), "{limit}: {shown}");
        }
    }
}

#[test]
fn the_route_and_the_template_are_bounded_as_values() {
    let tracing = TestTracing::always();
    let layer = server::TraceLayer::from_spans(tracing.spans())
        .with_route(|_request| Some("/users/{id}".into()))
        .with_value_limit_bytes(6);
    let span = recorded(&tracing, layer, Request::new(()));
    assert_eq!(attribute(&span, "http.route"), Some(text("/users")));

    let tracing = TestTracing::always();
    let layer = client::TraceLayer::from_spans(tracing.spans())
        .with_template(|_request| Some("/users/{id}".into()))
        .with_value_limit_bytes(6);
    let span = recorded(&tracing, layer, Request::new(()));
    assert_eq!(attribute(&span, "url.template"), Some(text("/users")));
}
