//! A panic ends the span as one, whether it unwinds through the layer's values or is caught outside
//! and they are dropped in peace long after.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use towline_http::Trace;
use towline_span::Outcome;
use towline_test_support::{
    BodyStep, Probe, ScriptedFuture, ScriptedService, TestTracing, current_span_context,
};

use crate::exchange::{Answer, Ending, Exchange, assert_ending, body, context, data};
use crate::side::Side;

on_both_sides! {
    in_call,
    in_the_future_and_dropped_in_peace,
    in_the_future_and_unwinding_through_it,
    in_the_body_and_dropped_in_peace,
    in_the_body_and_unwinding_through_it,
    in_the_body_after_the_announced_length_is_out,
    in_the_body_after_an_error_status,
    in_a_future_that_is_polled_again,
    leaves_no_context_behind,
    caught_by_a_layer_outside,
    caught_in_call_by_a_layer_outside,
    caught_by_a_layer_inside,
}

const PANICKED: &str = "panic";

fn before_head() -> Ending {
    Ending::before_head(Outcome::Panicked).with_error_type(PANICKED)
}

fn after_ok() -> Ending {
    Ending::after_ok(Outcome::Panicked).with_error_type(PANICKED)
}

/// Catches what `work` panics with, as a runtime does around a task.
#[track_caller]
fn catch<T>(work: impl FnOnce() -> T) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err(), "no panic");
}

fn in_call<S: Side>() {
    let tracing = TestTracing::always();
    let service = ScriptedService::new(
        &Probe::new(),
        |_request: Request<()>| -> ScriptedFuture<Answer> { panic!("in call") },
    );
    let mut service = Trace::new(service, S::layer_of(&tracing));
    assert!(service.poll_ready(&mut context()).is_ready());
    catch(|| service.call(Request::new(())));
    assert_ending(&tracing.only(), before_head());
}

fn in_the_future_and_dropped_in_peace<S: Side>() {
    let mut exchange = Exchange::<S>::future(ScriptedFuture::panicking("in a poll").after(1));
    assert!(exchange.poll().is_pending());
    catch(|| exchange.poll());
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(before_head());
}

fn in_the_future_and_unwinding_through_it<S: Side>() {
    let tracing = TestTracing::always();
    catch(|| {
        let future = ScriptedFuture::panicking("in a poll");
        Exchange::<S>::through(&tracing, Request::new(()), future).head()
    });
    assert_ending(&tracing.only(), before_head());
}

fn in_the_body_and_dropped_in_peace<S: Side>() {
    let steps = [data("one"), BodyStep::Panic("in a frame")];
    let mut exchange = Exchange::<S>::get(Response::new(body(steps)));
    exchange.head().unwrap();
    exchange.data();
    catch(|| exchange.frame());
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(after_ok());
}

fn in_the_body_and_unwinding_through_it<S: Side>() {
    let tracing = TestTracing::always();
    catch(|| {
        let response = Response::new(body([BodyStep::Panic("in a frame")]));
        let future = ScriptedFuture::ready(Ok(response));
        let mut exchange = Exchange::<S>::through(&tracing, Request::new(()), future);
        exchange.head().unwrap();
        exchange.frame()
    });
    assert_ending(&tracing.only(), after_ok());
}

fn in_the_body_after_the_announced_length_is_out<S: Side>() {
    let mut response = Response::new(body([data("one"), BodyStep::Panic("in a frame")]));
    let length = HeaderValue::from_static("3");
    response.headers_mut().insert(CONTENT_LENGTH, length);
    let mut exchange = Exchange::<S>::get(response);
    exchange.head().unwrap();
    exchange.data();
    catch(|| exchange.frame());
    exchange.drop();
    exchange.assert_ended(after_ok());
}

fn in_the_body_after_an_error_status<S: Side>() {
    let mut response = Response::new(body([BodyStep::Panic("in a frame")]));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let mut exchange = Exchange::<S>::get(response);
    exchange.head().unwrap();
    catch(|| exchange.frame());
    exchange.drop();
    exchange.assert_ended(after_ok().with_status(StatusCode::INTERNAL_SERVER_ERROR));
}

fn in_a_future_that_is_polled_again<S: Side>() {
    let mut exchange = Exchange::<S>::future(ScriptedFuture::panicking("in a poll"));
    catch(|| exchange.poll());
    catch(|| exchange.poll());
    exchange.drop();
    exchange.assert_ended(before_head());
}

fn leaves_no_context_behind<S: Side>() {
    let steps = [BodyStep::Panic("in a frame")];
    let mut exchange = Exchange::<S>::get(Response::new(body(steps)));
    exchange.head().unwrap();
    catch(|| exchange.frame());
    assert!(!current_span_context().is_valid());
}

/// The status of what a service answers, read to its end.
fn answered<S, B>(mut service: S) -> StatusCode
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut future = Box::pin(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
        panic!("the service answers at once");
    };
    let status = response.status();
    let mut body = Box::pin(response.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context()) {}
    status
}

type Never = ScriptedFuture<Result<Response<Full<Bytes>>, Infallible>>;

fn panicking_in_call(_request: Request<()>) -> Never {
    panic!("in call")
}

fn panicking_in_a_poll(_request: Request<()>) -> Never {
    ScriptedFuture::panicking("in a poll")
}

fn caught_by_a_layer_outside<S: Side>() {
    let tracing = TestTracing::always();
    let traced = Trace::new(service_fn(panicking_in_a_poll), S::layer_of(&tracing));
    let status = answered(CatchPanicLayer::new().layer(traced));
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_ending(&tracing.only(), before_head());
}

fn caught_in_call_by_a_layer_outside<S: Side>() {
    let tracing = TestTracing::always();
    let traced = Trace::new(service_fn(panicking_in_call), S::layer_of(&tracing));
    let status = answered(CatchPanicLayer::new().layer(traced));
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_ending(&tracing.only(), before_head());
}

fn caught_by_a_layer_inside<S: Side>() {
    let tracing = TestTracing::always();
    let catching = CatchPanicLayer::new().layer(service_fn(panicking_in_a_poll));
    let status = answered(Trace::new(catching, S::layer_of(&tracing)));
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let ending = Ending::COMPLETED.with_status(status).with_error_type("500");
    assert_ending(&tracing.only(), ending);
}
