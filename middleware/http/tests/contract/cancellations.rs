//! A caller that goes away, at each point where it can.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use tower::{Service, service_fn};
use towline_http::Trace;
use towline_span::Outcome;
use towline_test_support::{BodyStep, ScriptedError, ScriptedFuture, TestTracing};

use crate::exchange::{Ending, Exchange, body, context, data};
use crate::side::Side;

on_both_sides! {
    dropped_before_the_first_poll,
    dropped_while_the_service_is_at_work,
    dropped_with_the_body_unread,
    dropped_between_two_frames,
    dropped_while_the_body_is_pending,
    taken_out_of_its_wrapper,
    dropped_after_a_head_that_was_an_error,
    ends_only_after_what_is_inside_has_been_dropped,
}

fn dropped_before_the_first_poll<S: Side>() {
    let mut exchange = Exchange::<S>::future(ScriptedFuture::hanging());
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(Ending::before_head(Outcome::CancelledBeforeResponse));
}

fn dropped_while_the_service_is_at_work<S: Side>() {
    let mut exchange = Exchange::<S>::future(ScriptedFuture::hanging());
    assert!(exchange.poll().is_pending());
    assert!(exchange.poll().is_pending());
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(Ending::before_head(Outcome::CancelledBeforeResponse));
}

fn dropped_with_the_body_unread<S: Side>() {
    let mut exchange = Exchange::<S>::get(Response::new(body([data("one")])));
    exchange.head().unwrap();
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(Ending::after_ok(Outcome::CancelledDuringBody));
}

fn dropped_between_two_frames<S: Side>() {
    let mut exchange = Exchange::<S>::get(Response::new(body([data("one"), data("two")])));
    exchange.head().unwrap();
    exchange.data();
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(Ending::after_ok(Outcome::CancelledDuringBody));
}

fn dropped_while_the_body_is_pending<S: Side>() {
    let mut exchange = Exchange::<S>::get(Response::new(body([data("one"), BodyStep::Hang])));
    exchange.head().unwrap();
    exchange.data();
    assert!(exchange.frame().is_pending());
    exchange.drop();
    exchange.assert_ended(Ending::after_ok(Outcome::CancelledDuringBody));
}

fn taken_out_of_its_wrapper<S: Side>() {
    let mut exchange = Exchange::<S>::get(Response::new(body([data("one")])));
    exchange.head().unwrap();
    let tracing = exchange.tracing.clone();
    let _inner = exchange.into_body().into_inner();
    let span = tracing.only();
    let cancelled = Ending::after_ok(Outcome::CancelledDuringBody);
    crate::exchange::assert_ending(&span, cancelled);
}

fn dropped_after_a_head_that_was_an_error<S: Side>() {
    let mut response = Response::new(body([data("one")]));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let mut exchange = Exchange::<S>::get(response);
    exchange.head().unwrap();
    exchange.drop();
    exchange.assert_ended(
        Ending::after_ok(Outcome::CancelledDuringBody)
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            .with_error_type("500"),
    );
}

/// Notes, when it is dropped, how many spans have ended by then.
struct Last {
    tracing: TestTracing,
    ended: Rc<Cell<Option<usize>>>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.ended.set(Some(self.tracing.finished().len()));
    }
}

impl Future for Last {
    type Output = Result<Response<Self>, ScriptedError>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

impl Body for Last {
    type Data = Bytes;
    type Error = ScriptedError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ScriptedError>>> {
        Poll::Pending
    }
}

fn ends_only_after_what_is_inside_has_been_dropped<S: Side>() {
    let tracing = TestTracing::always();
    let ended = Rc::new(Cell::new(None));
    let last = || Last {
        tracing: tracing.clone(),
        ended: Rc::clone(&ended),
    };

    let mut service = Trace::new(service_fn(|_: Request<()>| last()), S::layer_of(&tracing));
    drop(service.call(Request::new(())));
    assert_eq!((ended.take(), tracing.finished().len()), (Some(0), 1));

    tracing.reset();
    let answer = || std::future::ready(Ok::<_, ScriptedError>(Response::new(last())));
    let mut service = Trace::new(service_fn(|_: Request<()>| answer()), S::layer_of(&tracing));
    let mut future = Box::pin(service.call(Request::new(())));
    let response = future.as_mut().poll(&mut context());
    drop(response);
    assert_eq!((ended.take(), tracing.finished().len()), (Some(0), 1));
}
