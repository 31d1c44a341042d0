//! What users add to spans: hooks, classes of errors, the trace id for callers.

use std::sync::{Arc, Mutex};

use opentelemetry::{KeyValue, Value};
use towline_grpc::Code;
use towline_span::Failure;

use super::*;

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

fn call() -> Request<()> {
    Request::post("/a.B/C").body(()).unwrap()
}

fn with_code(code: &'static str) -> ScriptedFuture<Answer> {
    answering(&[], [BodyStep::trailer("grpc-status", code)])
}

#[test]
fn binary_metadata_is_never_shown_and_what_is_marked_is_masked() {
    on_both_sides!(|tracing, layer| {
        let listed = ["x-thing-bin", "x-marked"].map(HeaderName::from_static);
        let layer = layer
            .with_request_metadata(listed.clone())
            .with_response_metadata(listed);
        let mut request = call();
        let mut marked = HeaderValue::from_static("secret");
        marked.set_sensitive(true);
        request.headers_mut().insert("x-marked", marked);
        let binary = HeaderValue::from_static("c2VjcmV0");
        request.headers_mut().insert("x-thing-bin", binary);
        let answer = answering(&[("x-thing-bin", "c2VjcmV0")], []);
        drive(layer.layer(scripted(answer)), request);
        let span = tracing.only();
        for (key, expected) in [
            ("rpc.request.metadata.x-thing-bin", r#"["BINARY"]"#),
            ("rpc.request.metadata.x-marked", r#"["REDACTED"]"#),
            ("rpc.response.metadata.x-thing-bin", r#"["BINARY"]"#),
        ] {
            assert_eq!(
                attribute(&span, key).unwrap().to_string(),
                expected,
                "{key}"
            );
        }
    });
}

#[test]
fn hooks_are_called_in_the_order_of_the_call_and_a_panic_in_one_is_caught() {
    on_both_sides!(|tracing, layer| {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (one, two, three) = (said.clone(), said.clone(), said.clone());
        let layer = layer
            .on_request(move |head, _| {
                one.lock().unwrap().push(head.uri.path().to_owned());
                panic!("on_request");
            })
            .on_response(move |head, span| {
                two.lock().unwrap().push(head.status.to_string());
                span.set_attribute(KeyValue::new("answered", true));
            })
            .on_end(move |ended, span| {
                let failure = ended.failure.map(Failure::error_type);
                three
                    .lock()
                    .unwrap()
                    .push(format!("{} {failure:?}", ended.outcome));
                span.update_name("mine");
            });
        drive(layer.layer(scripted(with_code("12"))), call());
        let span = tracing.only();
        let expected = ["/a.B/C", "200 OK", "completed Some(\"UNIMPLEMENTED\")"];
        assert_eq!(*said.lock().unwrap(), expected);
        assert_eq!(attribute(&span, "answered"), Some(Value::Bool(true)));
        assert_eq!(span.name, "mine");
    });
}

#[test]
fn a_hook_s_name_is_not_taken_back() {
    on_both_sides!(|tracing, layer| {
        let layer = layer.on_request(|_, span| span.update_name("mine"));
        drive(layer.layer(scripted(with_code("12"))), call());
        let span = tracing.only();
        assert_eq!(span.name, "mine");
        let method = text_attribute(&span, "rpc.method");
        assert_eq!(method.as_deref(), Some("_OTHER"));
    });
}

#[test]
fn a_user_decides_what_is_an_error() {
    on_both_sides!(|tracing, layer| {
        let layer = layer.with_classify(|code, failure| match code {
            Code::Internal => None,
            Code::Ok => Some(Failure::new("odd")),
            Code::Unavailable => panic!("classify"),
            _ => failure,
        });
        for (code, expected) in [
            ("13", None),
            ("0", Some("odd")),
            ("14", Some("UNAVAILABLE")),
            ("15", Some("DATA_LOSS")),
        ] {
            tracing.reset();
            drive(layer.clone().layer(scripted(with_code(code))), call());
            let span = tracing.only();
            let found = text_attribute(&span, "error.type");
            assert_eq!(found.as_deref(), expected, "{code}");
            let failed = matches!(span.status, Status::Error { .. });
            assert_eq!(failed, expected.is_some(), "{code}");
        }
    });
}

#[test]
fn urls_in_messages_are_without_what_a_user_calls_secret() {
    on_both_sides!(|tracing, layer| {
        let layer = layer.with_more_redacted_query_keys(["token"]);
        let message = "http://me:pass@a/?token=abc&sig=def";
        let answer = answering(&[("grpc-status", "2"), ("grpc-message", message)], []);
        drive(layer.layer(scripted(answer)), call());
        let clean = "http://REDACTED:REDACTED@a/?token=REDACTED&sig=REDACTED";
        assert_eq!(error_description(&tracing.only()), Some(clean));

        tracing.reset();
        let error = ScriptedFuture::ready(Err(message.into()));
        drive(layer.layer(scripted(error)), call());
        assert_eq!(error_description(&tracing.only()), Some(clean));
    });
}

#[test]
fn callers_are_told_the_trace_id() {
    let told = |tracing: &TestTracing, unsampled: bool| {
        let mut layer = server::TraceLayer::from_spans(tracing.spans())
            .with_response_trace_id(HeaderName::from_static("x-trace-id"))
            .with_traceresponse();
        if unsampled {
            layer = layer.with_trace_id_of_unsampled();
        }
        let mut service = layer.layer(scripted(ok()));
        let future = pin!(service.call(call()));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(response)) => response.headers().clone(),
            _ => panic!("the service answers at once"),
        }
    };
    let tracing = TestTracing::always();
    let headers = told(&tracing, false);
    let id = tracing.only().span_context.trace_id().to_string();
    assert_eq!(headers["x-trace-id"], id.as_str());
    assert!(headers["traceresponse"].to_str().unwrap().contains(&id));
    assert!(told(&TestTracing::never(), false).is_empty());
    assert_eq!(told(&TestTracing::never(), true).len(), 2);
    assert!(told(&TestTracing::off(), true).is_empty());
}
