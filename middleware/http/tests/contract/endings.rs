//! How a span ends when nothing goes wrong.

use std::sync::Arc;
use std::task::Poll;

use http::{Request, Response};
use opentelemetry::Context;
use tower::Service;
use towline_http::Trace;
use towline_test_support::{BodyStep, Probe, ScriptedFuture, ScriptedService, TestTracing};

use crate::exchange::{Ending, Exchange, body, context, data};
use crate::side::Side;

on_both_sides! {
    ends_when_a_body_of_unknown_length_says_that_it_is_over,
    ends_with_the_last_frame_of_a_body_that_knows_it,
    ends_at_the_head_when_the_body_is_empty,
    ends_with_the_trailers,
    ends_once_although_the_body_is_polled_on,
    ends_although_a_task_of_the_handler_keeps_the_context,
    goes_on_while_the_body_is_pending,
    lets_go_of_the_context_with_the_end_of_the_body,
}

fn ends_when_a_body_of_unknown_length_says_that_it_is_over<S: Side>() {
    let mut exchange = Exchange::<S>::get(Response::new(body([data("one"), data("two")])));
    exchange.assert_open();
    assert!(exchange.poll().is_pending());
    exchange.assert_open();
    exchange.head().unwrap();
    exchange.assert_open();
    assert_eq!(exchange.data(), "one");
    assert_eq!(exchange.data(), "two");
    exchange.assert_open();
    assert!(matches!(exchange.frame(), Poll::Ready(None)));
    exchange.assert_ended(Ending::COMPLETED);
}

fn ends_with_the_last_frame_of_a_body_that_knows_it<S: Side>() {
    let body = body([data("one"), data("two")]).announcing_end();
    let mut exchange = Exchange::<S>::get(Response::new(body));
    exchange.head().unwrap();
    assert_eq!(exchange.data(), "one");
    exchange.assert_open();
    assert_eq!(exchange.data(), "two");
    exchange.assert_ended(Ending::COMPLETED);
}

fn ends_at_the_head_when_the_body_is_empty<S: Side>() {
    let mut exchange = Exchange::<S>::get(Response::new(body([]).announcing_end()));
    assert!(exchange.poll().is_pending());
    exchange.assert_open();
    exchange.head().unwrap();
    exchange.assert_ended(Ending::COMPLETED);
}

fn ends_with_the_trailers<S: Side>() {
    let steps = [data("one"), BodyStep::trailer("checksum", "1")];
    let mut exchange = Exchange::<S>::get(Response::new(body(steps)));
    exchange.head().unwrap();
    exchange.data();
    exchange.assert_open();
    match exchange.frame() {
        Poll::Ready(Some(Ok(frame))) => assert!(frame.is_trailers()),
        other => panic!("expected trailers, got {other:?}"),
    }
    exchange.assert_ended(Ending::COMPLETED);
}

fn ends_once_although_the_body_is_polled_on<S: Side>() {
    let steps = [data("one"), BodyStep::End, data("two"), BodyStep::Error("")];
    let mut exchange = Exchange::<S>::get(Response::new(body(steps)));
    exchange.head().unwrap();
    exchange.data();
    assert!(matches!(exchange.frame(), Poll::Ready(None)));
    assert_eq!(exchange.data(), "two");
    assert!(matches!(exchange.frame(), Poll::Ready(Some(Err(_)))));
    exchange.drop();
    exchange.assert_ended(Ending::COMPLETED);
}

fn ends_although_a_task_of_the_handler_keeps_the_context<S: Side>() {
    let tracing = TestTracing::always();
    let (kept, keep) = std::sync::mpsc::channel();
    let service = ScriptedService::new(&Probe::new(), move |_request: Request<()>| {
        kept.send(Context::current()).unwrap();
        ScriptedFuture::ready(Ok(Response::new(body([]).announcing_end())))
    });
    let mut service = Trace::new(service, S::layer_of(&tracing));
    assert!(service.poll_ready(&mut context()).is_ready());
    let mut future = Box::pin(service.call(Request::new(())));
    let answered: Poll<Result<_, towline_test_support::ScriptedError>> =
        future.as_mut().poll(&mut context());
    assert!(answered.is_ready());
    drop((answered, future));

    let span = tracing.only();
    let kept = keep.recv().unwrap();
    let still_known = opentelemetry::trace::TraceContextExt::span(&kept);
    assert_eq!(
        still_known.span_context().span_id(),
        span.span_context.span_id()
    );
}

fn goes_on_while_the_body_is_pending<S: Side>() {
    let steps = [data("one"), BodyStep::Pending, data("two")];
    let mut exchange = Exchange::<S>::get(Response::new(body(steps).announcing_end()));
    exchange.head().unwrap();
    exchange.data();
    assert!(exchange.frame().is_pending());
    exchange.assert_open();
    exchange.data();
    exchange.assert_ended(Ending::COMPLETED);
}

fn lets_go_of_the_context_with_the_end_of_the_body<S: Side>() {
    #[derive(Clone)]
    struct Value(#[expect(dead_code, reason = "it is there to be counted")] Arc<()>);

    let value = Arc::new(());
    let attached = Context::current_with_value(Value(Arc::clone(&value))).attach();
    let mut exchange = Exchange::<S>::get(Response::new(body([data("one")]).announcing_end()));
    drop(attached);
    exchange.head().unwrap();
    assert_eq!(Arc::strong_count(&value), 2);
    exchange.data();
    assert_eq!(Arc::strong_count(&value), 1);
}
