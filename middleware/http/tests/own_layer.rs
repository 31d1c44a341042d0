//! A layer of the user's own, made of the parts that are public for it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Request, Response};
use http_body::Body;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanBuilder;
use opentelemetry_sdk::trace::SdkTracer;
use tower::{Service, service_fn};
use towline_http::{Begin, Record, ResponseHead, Rest, Trace};
use towline_span::{OpenSpan, Outcome, Spans};
use towline_test_support::{
    BodyStep, Probe, ScriptedBody, ScriptedError, TestTracing, assert_outcome, text_attribute,
};

/// Begins a span for requests that ask for one, and notes what it is told of them.
#[derive(Clone, Debug)]
struct Noting {
    spans: Spans<SdkTracer>,
    notes: Arc<Mutex<Vec<String>>>,
    rest: Rest,
    ends: bool,
}

#[derive(Debug)]
struct Notes {
    notes: Arc<Mutex<Vec<String>>>,
    rest: Rest,
    ends: bool,
}

impl Notes {
    fn note(&self, note: String) {
        self.notes.lock().unwrap().push(note);
    }
}

impl Begin for Noting {
    type Record = Notes;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Notes)> {
        request.headers().get("x-trace")?;
        let describe = || SpanBuilder::from_name("exchange");
        let span = self.spans.start(&opentelemetry::Context::new(), &describe);
        let notes = Notes {
            notes: Arc::clone(&self.notes),
            rest: self.rest,
            ends: self.ends,
        };
        Some((span, notes))
    }
}

impl Record for Notes {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        let (status, version) = (head.status.as_u16(), head.version);
        self.note(format!("head {status} {version:?} {:?}", head.headers));
        self.rest
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.note(format!("trailers {trailers:?}"));
    }

    fn error<E: 'static>(&mut self, _error: &E) {
        self.note(format!("error {}", std::any::type_name::<E>()));
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        self.note(format!("end {outcome}"));
        if self.ends {
            span.end(outcome, None, [KeyValue::new("noted", "yes")]);
        }
    }
}

/// How an exchange through such a layer goes.
struct Exchange {
    tracing: TestTracing,
    rest: Rest,
    ends: bool,
}

impl Exchange {
    fn in_pipeline(tracing: TestTracing) -> Self {
        Self {
            tracing,
            rest: Rest::Body,
            ends: true,
        }
    }

    fn recorded() -> Self {
        Self::in_pipeline(TestTracing::always())
    }

    /// What the layer notes of an exchange that is answered with a body of these steps, which is
    /// polled this often, or with an error.
    fn answered(
        &self,
        request: Request<()>,
        answer: Result<&[BodyStep], ScriptedError>,
        polls: usize,
    ) -> Vec<String> {
        let layer = Noting {
            spans: self.tracing.spans(),
            notes: Arc::default(),
            rest: self.rest,
            ends: self.ends,
        };
        let notes = Arc::clone(&layer.notes);
        let service = service_fn(|_request| {
            ready(answer.map(|steps| {
                let body = ScriptedBody::new(&Probe::new(), steps.iter().cloned());
                Response::builder().header("a", "b").body(body).unwrap()
            }))
        });
        let mut cx = Context::from_waker(Waker::noop());
        let mut future = Box::pin(Trace::new(service, layer).call(request));
        let Poll::Ready(result) = future.as_mut().poll(&mut cx) else {
            panic!("the service answers at once");
        };
        drop(future);
        if let Ok(response) = result {
            let mut body = Box::pin(response.into_body());
            for _ in 0..polls {
                let _ = body.as_mut().poll_frame(&mut cx);
            }
        }
        notes.lock().unwrap().clone()
    }
}

fn asking() -> Request<()> {
    Request::builder().header("x-trace", "").body(()).unwrap()
}

const HEAD: &str = r#"head 200 HTTP/1.1 {"a": "b"}"#;

#[test]
fn is_told_of_the_head_the_trailers_and_the_end() {
    let steps = [
        BodyStep::data("text"),
        BodyStep::trailer("grpc-status", "0"),
    ];
    let exchange = Exchange::recorded();
    let notes = exchange.answered(asking(), Ok(&steps), 2);
    let trailers = r#"trailers {"grpc-status": "0"}"#;
    assert_eq!(notes, [HEAD, trailers, "end completed"]);
    let span = exchange.tracing.only();
    assert_eq!(text_attribute(&span, "noted").as_deref(), Some("yes"));
}

#[test]
fn is_told_of_an_error_before_the_end() {
    let error = "error towline_test_support::body::ScriptedError";
    let notes = Exchange::recorded().answered(asking(), Err(ScriptedError("refused")), 0);
    assert_eq!(notes, [error, "end failed"]);

    let steps = [BodyStep::Error("reset"), BodyStep::trailer("late", "1")];
    let notes = Exchange::recorded().answered(asking(), Ok(&steps), 2);
    assert_eq!(notes, [HEAD, error, "end failed"]);
}

#[test]
fn is_told_of_the_end_of_what_was_dropped() {
    let notes = Exchange::recorded().answered(asking(), Ok(&[BodyStep::Hang]), 1);
    assert_eq!(notes, [HEAD, "end cancelled_during_body"]);
}

#[test]
fn decides_whether_the_exchange_goes_on_after_the_head() {
    let mut exchange = Exchange::recorded();
    exchange.rest = Rest::Nothing;
    let notes = exchange.answered(asking(), Ok(&[BodyStep::Hang]), 1);
    assert_eq!(notes, [HEAD, "end completed"]);
}

#[test]
fn a_span_that_it_leaves_open_is_ended_with_the_outcome() {
    for (step, expected) in [
        (BodyStep::End, Outcome::Completed),
        (BodyStep::Error("reset"), Outcome::Failed),
        (BodyStep::Hang, Outcome::CancelledDuringBody),
    ] {
        let mut exchange = Exchange::recorded();
        exchange.ends = false;
        exchange.answered(asking(), Ok(&[step]), 1);
        let span = exchange.tracing.only();
        assert_outcome(&span, expected);
        assert_eq!(text_attribute(&span, "noted"), None);
    }
}

#[test]
fn is_told_nothing_of_what_nobody_records() {
    for tracing in [TestTracing::never(), TestTracing::off()] {
        let exchange = Exchange::in_pipeline(tracing);
        let steps = [BodyStep::trailer("a", "b")];
        assert!(exchange.answered(asking(), Ok(&steps), 1).is_empty());
        let error = Err(ScriptedError("refused"));
        assert!(exchange.answered(asking(), error, 0).is_empty());
        exchange.tracing.assert_none();
    }
}

#[test]
fn begins_nothing_if_it_does_not_want_to() {
    let exchange = Exchange::recorded();
    let request = Request::new(());
    let steps = [BodyStep::data("text")];
    assert!(exchange.answered(request, Ok(&steps), 2).is_empty());
    exchange.tracing.assert_none();
}

#[test]
fn a_tracer_that_cannot_be_cloned_makes_a_layer_too() {
    use tower::Layer as _;
    let layer = towline_http::server::TraceLayer::new(opentelemetry::global::tracer("global"));
    let services = [layer.layer(()), layer.layer(())];
    assert_eq!(services.clone().len(), services.len());
    let client = towline_http::client::TraceLayer::new(opentelemetry::global::tracer("global"));
    drop(client.layer(()));
}
