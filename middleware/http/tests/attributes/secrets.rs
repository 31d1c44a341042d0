//! No header is recorded but those that the documentation names, and no secret that a URL carries.

use std::future::ready;

use http::{Request, Response};
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer, Service, service_fn};
use towline_http::{client, server};
use towline_test_support::{Caller, TestTracing, attribute};

use crate::{exchange, recorded, text};

/// Stands in every header and wherever else a secret may be.
const SECRET: &str = "s3cr3t";

fn request() -> Request<()> {
    let target = format!(
        "http://{SECRET}:{SECRET}@users.example/users?sig={SECRET}&X-Amz-Signature={SECRET}\
         &Signature={SECRET}&AWSAccessKeyId={SECRET}&X-Amz-Credential={SECRET}\
         &X-Amz-Security-Token={SECRET}&X-Goog-Signature={SECRET}&s%69g={SECRET}&q=abc"
    );
    let mut request = Request::get(target).body(()).unwrap();
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "x-amz-security-token",
        "x-forwarded-for",
        "forwarded",
        "from",
        "referer",
        "origin",
        "accept",
        "host",
        "baggage",
        "x-anything",
    ] {
        let value = SECRET.parse().unwrap();
        request.headers_mut().insert(name, value);
    }
    request
}

fn response() -> Response<()> {
    Response::builder()
        .status(500)
        .header("set-cookie", SECRET)
        .header("www-authenticate", SECRET)
        .header("location", SECRET)
        .header("x-anything", SECRET)
        .body(())
        .unwrap()
}

#[track_caller]
fn assert_nothing_leaked(span: &SpanData) {
    let shown = format!("{span:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn a_server_records_no_secret() {
    let tracing = TestTracing::always();
    exchange(
        server::TraceLayer::from_spans(tracing.spans()),
        request(),
        response(),
    );
    let span = tracing.only();
    assert_nothing_leaked(&span);
    assert_eq!(attribute(&span, "url.path"), Some(text("/users")));
}

#[test]
fn a_client_records_no_secret() {
    let tracing = TestTracing::always();
    exchange(
        client::TraceLayer::from_spans(tracing.spans()),
        request(),
        response(),
    );
    assert_nothing_leaked(&tracing.only());
}

#[test]
fn a_caller_s_tracestate_is_kept_as_such_and_nowhere_else() {
    let tracing = TestTracing::always();
    let caller = Caller::sampled().with_tracestate("congo", SECRET);
    let mut request = Request::new(());
    for (name, value) in [
        ("traceparent", caller.traceparent()),
        ("tracestate", caller.tracestate()),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let layer = server::TraceLayer::from_spans(tracing.spans());
    let span = recorded(&tracing, layer, request);
    assert_eq!(
        span.span_context.trace_state().header(),
        caller.tracestate()
    );
    assert!(!format!("{:?}", span.attributes).contains(SECRET));
}

#[test]
fn the_user_s_query_keys_take_the_place_of_the_known_ones() {
    let request = || Request::get("/?token=a&sig=b&Token=c").body(()).unwrap();
    let expected = "token=REDACTED&sig=b&Token=c";

    let tracing = TestTracing::always();
    let layer = server::TraceLayer::from_spans(tracing.spans()).with_redacted_query_keys(["token"]);
    let span = recorded(&tracing, layer, request());
    assert_eq!(attribute(&span, "url.query"), Some(text(expected)));

    let tracing = TestTracing::always();
    let layer = client::TraceLayer::from_spans(tracing.spans())
        .with_redacted_query_keys([String::from("token")]);
    let span = recorded(&tracing, layer, request());
    let expected = format!("/?{expected}");
    assert_eq!(attribute(&span, "url.full"), Some(text(&expected)));
}

#[test]
fn no_key_is_redacted_if_the_user_lists_none() {
    let tracing = TestTracing::always();
    let layer =
        server::TraceLayer::from_spans(tracing.spans()).with_redacted_query_keys::<&str>([]);
    let request = Request::get("/?sig=b").body(()).unwrap();
    let span = recorded(&tracing, layer, request);
    assert_eq!(attribute(&span, "url.query"), Some(text("sig=b")));
}

#[test]
fn the_text_of_an_error_of_a_known_type_is_not_recorded() {
    #[derive(Debug)]
    struct Refused;
    impl std::fmt::Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(SECRET)
        }
    }
    impl std::error::Error for Refused {}

    let tracing = TestTracing::always();
    let service = service_fn(|_request: Request<()>| {
        ready(Err::<Response<http_body_util::Empty<&[u8]>>, _>(Refused))
    });
    let mut service = server::TraceLayer::from_spans(tracing.spans()).layer(service);
    let mut future = Box::pin(service.call(Request::new(())));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_ready());
    assert_nothing_leaked(&tracing.only());
}
