//! What users add to spans: listed headers, hooks, classes of errors, the trace id for callers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::Empty;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use tower::{Service, service_fn};
use towline_http::client::ResendCount;
use towline_http::server::{DeferredRoute, TrustedProxies};
use towline_http::{Begin, PeerAddr, Trace, client, server};
use towline_span::{Failure, Outcome};
use towline_test_support::{
    Caller, TestTracing, assert_no_duplicate_attributes, assert_outcome, attribute, text_attribute,
};

/// The same with a layer of either side.
macro_rules! on_both_sides {
    (|$tracing:ident, $layer:ident| $test:block) => {{
        {
            let $tracing = TestTracing::always();
            let $layer = server::TraceLayer::from_spans($tracing.spans());
            $test
        }
        {
            let $tracing = TestTracing::always();
            let $layer = client::TraceLayer::from_spans($tracing.spans());
            $test
        }
    }};
}

/// The headers of what a service answers at once, through a layer.
fn answered<L: Begin>(layer: L, request: Request<()>, response: Response<()>) -> HeaderMap {
    let mut response = Some(response.map(|()| Empty::<Bytes>::new()));
    let service = service_fn(|_request| ready(Ok::<_, Infallible>(response.take().unwrap())));
    let mut future = pin!(Trace::new(service, layer).call(request));
    let mut cx = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut cx) {
        Poll::Ready(Ok(response)) => response.headers().clone(),
        Poll::Pending => panic!("the service answers at once"),
    }
}

fn get() -> Request<()> {
    Request::get("http://users.example/users").body(()).unwrap()
}

fn with_status(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

fn names(names: &[&'static str]) -> Vec<HeaderName> {
    names
        .iter()
        .map(|name| HeaderName::from_static(name))
        .collect()
}

fn texts(texts: &[&'static str]) -> Option<Value> {
    let texts = texts.iter().map(|text| StringValue::from(*text));
    Some(Value::Array(Array::String(texts.collect())))
}

fn text(text: &'static str) -> Option<Value> {
    Some(Value::from(text))
}

#[test]
fn listed_headers_are_attributes_with_arrays() {
    on_both_sides!(|tracing, layer| {
        let layer = layer
            .with_request_headers(names(&["x-tenant", "authorization", "x-absent"]))
            .with_response_headers(names(&["x-cost", "set-cookie"]));
        let (mut request, mut response) = (get(), Response::new(()));
        for value in ["a", "b"] {
            request
                .headers_mut()
                .append("x-tenant", value.parse().unwrap());
            request
                .headers_mut()
                .append("x-unlisted", value.parse().unwrap());
            response
                .headers_mut()
                .append("x-cost", value.parse().unwrap());
            response
                .headers_mut()
                .append("set-cookie", value.parse().unwrap());
        }
        request
            .headers_mut()
            .append("authorization", "secret".parse().unwrap());
        answered(layer, request, response);
        let span = tracing.only();
        for (key, expected) in [
            ("http.request.header.x-tenant", texts(&["a", "b"])),
            ("http.request.header.authorization", texts(&["REDACTED"])),
            ("http.request.header.x-absent", None),
            ("http.request.header.x-unlisted", None),
            ("http.response.header.x-cost", texts(&["a", "b"])),
            (
                "http.response.header.set-cookie",
                texts(&["REDACTED", "REDACTED"]),
            ),
        ] {
            assert_eq!(attribute(&span, key), expected, "{key}");
        }
        assert_no_duplicate_attributes(&span);
    });
}

#[test]
fn more_query_keys_are_added_to_those_that_are_known() {
    on_both_sides!(|tracing, layer| {
        let layer = layer
            .with_more_redacted_query_keys(["token"])
            .with_more_redacted_query_keys(["key"]);
        let request = Request::get("/fetch/http://me:pass@a/?token=1&key=2&sig=3&q=4");
        answered(layer, request.body(()).unwrap(), Response::new(()));
        let span = tracing.only();
        let all = format!("{:?}", span.attributes);
        assert!(
            all.contains("token=REDACTED&key=REDACTED&sig=REDACTED&q=4"),
            "{all}"
        );
        assert!(all.contains("/fetch/http://REDACTED:REDACTED@a/"), "{all}");
    });
}

#[test]
fn hooks_are_called_in_the_order_of_the_exchange() {
    on_both_sides!(|tracing, layer| {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (one, two, three, four) = (said.clone(), said.clone(), said.clone(), said.clone());
        let say = |said: &Mutex<Vec<String>>, text: String| said.lock().unwrap().push(text);
        let layer = layer
            .on_request(move |head, span| {
                assert!(span.span_context().is_sampled());
                say(&one, format!("{} {}", head.method, head.uri.path()));
            })
            .on_request(move |_, span| {
                span.set_attribute(KeyValue::new("tenant", "a"));
                say(&two, "again".to_owned());
            })
            .on_response(move |head, span| {
                span.add_event("answered", [KeyValue::new("long", "x".repeat(10_000))]);
                say(&three, head.status.to_string());
            })
            .on_end(move |ended, span| {
                span.set_attribute(KeyValue::new("slow", ended.duration.as_secs() > 60));
                let failure = ended.failure.map(|failure| failure.error_type().to_owned());
                say(&four, format!("{} {failure:?}", ended.outcome));
            });
        answered(layer, get(), with_status(503));
        let span = tracing.only();
        let expected = [
            "GET /users",
            "again",
            "503 Service Unavailable",
            "completed Some(\"503\")",
        ];
        assert_eq!(*said.lock().unwrap(), expected);
        assert_eq!(attribute(&span, "tenant"), text("a"));
        assert_eq!(attribute(&span, "slow"), Some(Value::Bool(false)));
        let event = &span.events[0];
        assert_eq!(event.attributes[0].value.as_str().len(), 2048);
    });
}

#[test]
fn hooks_are_not_called_for_what_is_not_recorded() {
    for tracing in [TestTracing::never(), TestTracing::off()] {
        let layer = server::TraceLayer::from_spans(tracing.spans())
            .on_request(|_, _| panic!("not recorded"))
            .on_response(|_, _| panic!("not recorded"))
            .on_end(|_, _| panic!("not recorded"))
            .with_classify(|_, _| panic!("not recorded"));
        let mut request = get();
        let parent = Caller::not_sampled().traceparent().parse().unwrap();
        request.headers_mut().insert("traceparent", parent);
        // A panic would be caught: so nothing may be there to be called.
        let (span, record) = layer.begin(&mut request).unwrap();
        assert!(!span.is_recording() && format!("{record:?}").contains("rare: None"));
        answered(layer, request, Response::new(()));
        tracing.assert_none();
    }
}

#[test]
fn on_end_is_called_however_it_ends() {
    on_both_sides!(|tracing, layer| {
        let layer = layer.on_end(|ended, span| {
            let outcome = KeyValue::new("told", ended.outcome.as_str());
            span.set_attribute(outcome);
        });
        let never = service_fn(|_request: Request<()>| {
            pending::<Result<Response<Empty<Bytes>>, Infallible>>()
        });
        drop(Trace::new(never, layer.clone()).call(get()));
        let span = tracing.only();
        assert_eq!(attribute(&span, "told"), text("cancelled_before_response"));

        tracing.reset();
        let fails = service_fn(|_request: Request<()>| async {
            if true {
                panic!("the service");
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let mut future = Box::pin(Trace::new(fails, layer).call(get()));
        let mut cx = Context::from_waker(Waker::noop());
        catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut cx).is_ready()
        }))
        .unwrap_err();
        drop(future);
        let span = tracing.only();
        assert_eq!(attribute(&span, "told"), text("panicked"));
        assert_outcome(&span, Outcome::Panicked);
    });
}

#[test]
fn a_hook_that_panics_fails_neither_the_request_nor_the_other_hooks() {
    on_both_sides!(|tracing, layer| {
        let layer = layer
            .on_request(|_, span| {
                span.set_attribute(KeyValue::new("before", true));
                panic!("on_request")
            })
            .on_request(|_, span| span.set_attribute(KeyValue::new("other", true)))
            .on_response(|_, _| panic!("on_response"))
            .on_end(|_, _| panic!("on_end"))
            .with_classify(|_, _| panic!("classify"));
        answered(layer, get(), with_status(500));
        let span = tracing.only();
        assert_eq!(attribute(&span, "before"), Some(Value::Bool(true)));
        assert_eq!(attribute(&span, "other"), Some(Value::Bool(true)));
        assert_eq!(attribute(&span, "error.type"), text("500"));
        assert_eq!(attribute(&span, "towline.outcome"), None);
    });
}

#[test]
fn a_hook_may_panic_while_the_service_s_panic_is_under_way() {
    on_both_sides!(|tracing, layer| {
        let layer = layer.on_end(|_, _| panic!("on_end"));
        let fails = service_fn(|_request: Request<()>| {
            if true {
                panic!("the service");
            }
            ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        });
        let mut service = Trace::new(fails, layer);
        // The span is dropped while the stack unwinds.
        let panic = catch_unwind(AssertUnwindSafe(|| drop(service.call(get())))).unwrap_err();
        assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "the service");
        assert_outcome(&tracing.only(), Outcome::Panicked);
    });
}

#[test]
fn a_hook_names_the_span_and_no_route_takes_its_place() {
    let routed = |hooked: bool| {
        let tracing = TestTracing::always();
        let mut layer = server::TraceLayer::from_spans(tracing.spans()).with_deferred_route();
        if hooked {
            layer = layer.on_response(|_, span| span.update_name("mine"));
        }
        let service = service_fn(|request: Request<()>| {
            request
                .extensions()
                .get::<DeferredRoute>()
                .unwrap()
                .set("/users/{id}");
            ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        });
        let mut future = pin!(Trace::new(service, layer).call(get()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_ready());
        let span = tracing.only();
        assert_eq!(attribute(&span, "http.route"), text("/users/{id}"));
        span.name
    };
    assert_eq!(routed(false), "GET /users/{id}");
    assert_eq!(routed(true), "mine");
}

#[test]
fn a_user_decides_what_is_an_error() {
    on_both_sides!(|tracing, layer| {
        let layer = layer.with_classify(|head, failure| match head.status.as_u16() {
            404 => None,
            500 if head.headers.contains_key("x-fine") => None,
            200 => Some(Failure::new("odd").with_description("too good")),
            _ => failure,
        });
        for (status, fine, expected) in [
            (404, false, None),
            (500, true, None),
            (500, false, Some("500")),
            (200, false, Some("odd")),
            (301, false, None),
        ] {
            tracing.reset();
            let mut response = with_status(status);
            if fine {
                response
                    .headers_mut()
                    .insert("x-fine", "1".parse().unwrap());
            }
            answered(layer.clone(), get(), response);
            let span = tracing.only();
            let found = text_attribute(&span, "error.type");
            assert_eq!(found.as_deref(), expected, "{:?} {status}", span.span_kind);
            let failed = matches!(span.status, Status::Error { .. });
            assert_eq!(failed, expected.is_some(), "{status}");
        }
        // What is no response is none of its business.
        tracing.reset();
        let refused = service_fn(|_request: Request<()>| {
            ready(Err::<Response<Empty<Bytes>>, _>(std::fmt::Error))
        });
        let mut future = pin!(Trace::new(refused, layer).call(get()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_ready());
        let found = text_attribute(&tracing.only(), "error.type");
        assert_eq!(found.as_deref(), Some("core::fmt::Error"));
    });
}

#[test]
fn callers_are_told_the_trace_id() {
    let id = HeaderName::from_static("x-trace-id");
    let told = |tracing: &TestTracing, unsampled: bool, response| {
        let mut layer = server::TraceLayer::from_spans(tracing.spans())
            .with_response_trace_id(id.clone())
            .with_traceresponse();
        if unsampled {
            layer = layer.with_trace_id_of_unsampled();
        }
        let mut request = get();
        let parent = Caller::not_sampled().traceparent();
        if unsampled {
            request
                .headers_mut()
                .insert("traceparent", parent.parse().unwrap());
        }
        answered(layer, request, response)
    };

    let tracing = TestTracing::always();
    let headers = told(&tracing, false, Response::new(()));
    let span = tracing.only().span_context;
    assert_eq!(headers["x-trace-id"], span.trace_id().to_string().as_str());
    let response = format!("00-{}-{}-03", span.trace_id(), span.span_id());
    assert_eq!(headers["traceresponse"], response.as_str());

    // What the service says stays.
    let own = Response::builder()
        .header("x-trace-id", "mine")
        .header("traceresponse", "mine");
    let headers = told(&TestTracing::always(), false, own.body(()).unwrap());
    assert_eq!(
        (&headers["x-trace-id"], headers.len()),
        (&"mine".parse().unwrap(), 2)
    );

    // What nobody records is told on request, and nothing while tracing is off.
    let headers = told(&TestTracing::never(), false, Response::new(()));
    assert!(headers.is_empty(), "{headers:?}");
    let headers = told(&TestTracing::never(), true, Response::new(()));
    let caller = Caller::not_sampled().span_context();
    assert_eq!(
        headers["x-trace-id"],
        caller.trace_id().to_string().as_str()
    );
    for unsampled in [false, true] {
        let headers = told(&TestTracing::off(), unsampled, Response::new(()));
        assert!(headers.is_empty(), "{headers:?}");
    }
}

#[test]
fn nobody_is_told_anything_by_default() {
    on_both_sides!(|tracing, layer| {
        assert!(answered(layer, get(), Response::new(())).is_empty());
        tracing.only();
    });
}

#[test]
fn trusted_proxies_tell_who_called_and_how() {
    let recorded = |trusted: bool| {
        let tracing = TestTracing::always();
        let mut layer =
            server::TraceLayer::from_spans(tracing.spans()).with_scheme(http::uri::Scheme::HTTP);
        if trusted {
            layer = layer.with_trusted_proxies(TrustedProxies::networks(["10.0.0.0/8"]).unwrap());
        }
        let request = Request::get("/users")
            .header("host", "inner:8080")
            .header("x-forwarded-for", "203.0.113.9, 198.51.100.7")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "users.example:8443")
            .extension(PeerAddr(([10, 0, 0, 1], 1).into()));
        answered(layer, request.body(()).unwrap(), Response::new(()));
        let span = tracing.only();
        assert_eq!(attribute(&span, "network.peer.address"), text("10.0.0.1"));
        [
            "client.address",
            "url.scheme",
            "server.address",
            "server.port",
        ]
        .map(|key| attribute(&span, key).unwrap().to_string())
    };
    assert_eq!(recorded(false), ["10.0.0.1", "http", "inner", "8080"]);
    assert_eq!(
        recorded(true),
        ["198.51.100.7", "https", "users.example", "8443"]
    );
}

#[test]
fn an_attempt_that_is_not_the_first_says_which_it_is() {
    let sent = |count: Option<u32>| {
        let tracing = TestTracing::always();
        let mut request = get();
        request.extensions_mut().extend(
            count
                .map(|count| {
                    let mut extensions = http::Extensions::new();
                    extensions.insert(ResendCount::new(count));
                    extensions
                })
                .unwrap_or_default(),
        );
        let layer = client::TraceLayer::from_spans(tracing.spans());
        answered(layer, request, Response::new(()));
        let span = tracing.only();
        assert_eq!(span.span_kind, SpanKind::Client);
        attribute(&span, "http.request.resend_count")
    };
    assert_eq!(sent(None), None);
    assert_eq!(sent(Some(0)), None);
    assert_eq!(sent(Some(1)), Some(Value::I64(1)));
    assert_eq!(sent(Some(u32::MAX)), Some(Value::I64(i64::from(u32::MAX))));
    let mut last = get();
    last.extensions_mut().insert(ResendCount::new(u32::MAX));
    let copy = ResendCount::counted(&last, get());
    assert_eq!(ResendCount::of(copy.extensions()).get(), u32::MAX);
}
