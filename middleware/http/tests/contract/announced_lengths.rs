//! A server stops reading a body once the announced length is out, and drops it then.

use std::future::ready;
use std::task::Poll;

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use http_body::{Body, SizeHint};
use http_body_util::BodyExt;
use tower::{Service, service_fn};
use towline_http::Trace;
use towline_span::Outcome;
use towline_test_support::{BodyStep, ScriptedBody, ScriptedError, TestTracing};

use crate::exchange::{Ending, Exchange, assert_ending, body, context, data};
use crate::side::Side;

on_both_sides! {
    completes_when_dropped_after_the_content_length_is_out,
    completes_when_dropped_after_the_exact_size_is_out,
    completes_when_nothing_was_announced_and_the_body_is_dropped_unread,
    completes_with_trailers_after_the_announced_length,
    completes_when_more_came_than_was_announced,
    is_cancelled_when_dropped_before_the_announced_length_is_out,
    believes_the_content_length_before_the_size_hint,
    believes_only_a_single_content_length_in_digits,
    fails_although_the_announced_length_is_out,
    counts_every_piece_of_a_frame,
}

fn announcing<V>(lengths: impl IntoIterator<Item = V>, body: ScriptedBody) -> Response<ScriptedBody>
where
    V: TryInto<HeaderValue, Error: std::fmt::Debug>,
{
    let mut response = Response::new(body);
    for length in lengths {
        let length = length.try_into().unwrap();
        response.headers_mut().append(CONTENT_LENGTH, length);
    }
    response
}

fn completes_when_dropped_after_the_content_length_is_out<S: Side>() {
    let response = announcing(["6"], body([data("one"), data("two"), BodyStep::Hang]));
    let mut exchange = Exchange::<S>::get(response);
    exchange.head().unwrap();
    exchange.data();
    exchange.data();
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(Ending::COMPLETED);
}

fn completes_when_dropped_after_the_exact_size_is_out<S: Side>() {
    let body = body([data("one"), data("two")]).announcing_size();
    let mut exchange = Exchange::<S>::get(Response::new(body));
    exchange.head().unwrap();
    exchange.data();
    exchange.data();
    exchange.assert_open();
    exchange.drop();
    exchange.assert_ended(Ending::COMPLETED);
}

fn completes_when_nothing_was_announced_and_the_body_is_dropped_unread<S: Side>() {
    for response in [
        announcing(["0"], body([])),
        announcing(["000"], body([])),
        Response::new(body([]).announcing_size()),
    ] {
        let mut exchange = Exchange::<S>::get(response);
        exchange.head().unwrap();
        exchange.assert_open();
        exchange.drop();
        exchange.assert_ended(Ending::COMPLETED);
    }
}

fn completes_with_trailers_after_the_announced_length<S: Side>() {
    let steps = [data("one"), BodyStep::trailer("checksum", "1")];
    let mut exchange = Exchange::<S>::get(announcing(["3"], body(steps)));
    exchange.head().unwrap();
    exchange.data();
    exchange.assert_open();
    assert!(exchange.frame().is_ready());
    exchange.assert_ended(Ending::COMPLETED);
}

fn completes_when_more_came_than_was_announced<S: Side>() {
    let steps = [data("too long"), data("and more")];
    let mut exchange = Exchange::<S>::get(announcing(["3"], body(steps)));
    exchange.head().unwrap();
    exchange.data();
    exchange.data();
    exchange.drop();
    exchange.assert_ended(Ending::COMPLETED);
}

fn is_cancelled_when_dropped_before_the_announced_length_is_out<S: Side>() {
    for response in [
        announcing(["4"], body([data("one"), data("two")])),
        Response::new(body([data("one"), data("two")]).announcing_size()),
    ] {
        let mut exchange = Exchange::<S>::get(response);
        exchange.head().unwrap();
        exchange.data();
        exchange.drop();
        exchange.assert_ended(Ending::after_ok(Outcome::CancelledDuringBody));
    }
}

fn believes_the_content_length_before_the_size_hint<S: Side>() {
    let hinted = body([data("one"), data("two")]).with_size_hint(SizeHint::with_exact(3));
    let mut exchange = Exchange::<S>::get(announcing(["6"], hinted));
    exchange.head().unwrap();
    exchange.data();
    exchange.drop();
    exchange.assert_ended(Ending::after_ok(Outcome::CancelledDuringBody));
}

fn believes_only_a_single_content_length_in_digits<S: Side>() {
    let cancelled = || Ending::after_ok(Outcome::CancelledDuringBody);
    for (lengths, expected) in [
        (&["3"][..], Ending::COMPLETED),
        (&["03"], Ending::COMPLETED),
        (&["3", "3"], cancelled()),
        (&["3, 3"], cancelled()),
        (&["+3"], cancelled()),
        (&["-3"], cancelled()),
        (&["3 "], cancelled()),
        (&["0x3"], cancelled()),
        (&["three"], cancelled()),
        (&[""], cancelled()),
        (&["18446744073709551619"], cancelled()), // 2^64 + 3
    ] {
        let response = announcing(lengths.iter().copied(), body([data("one"), data("two")]));
        let mut exchange = Exchange::<S>::get(response);
        exchange.head().unwrap();
        exchange.data();
        exchange.drop();
        exchange.assert_ended(expected);
    }
}

fn fails_although_the_announced_length_is_out<S: Side>() {
    let steps = [data("one"), BodyStep::Error("late")];
    let mut exchange = Exchange::<S>::get(announcing(["3"], body(steps)));
    exchange.head().unwrap();
    exchange.data();
    assert!(matches!(exchange.frame(), Poll::Ready(Some(Err(_)))));
    let failed = Ending::after_ok(Outcome::Failed);
    exchange.assert_ended(failed.with_error_type(crate::failures::SCRIPTED_ERROR));
}

fn counts_every_piece_of_a_frame<S: Side>() {
    let tracing = TestTracing::always();
    let service = service_fn(|_request: Request<()>| {
        let response = announcing(["6"], body([data("one"), BodyStep::Hang]));
        let in_pieces = |data: Bytes| data.chain(Bytes::from_static(b"two"));
        let response = response.map(|body| body.map_frame(move |frame| frame.map_data(in_pieces)));
        ready(Ok::<_, ScriptedError>(response))
    });
    let mut service = Trace::new(service, S::layer_of(&tracing));
    let mut future = Box::pin(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
        panic!("the service answers at once");
    };
    let mut body = Box::pin(response.into_body());
    assert!(body.as_mut().poll_frame(&mut context()).is_ready());
    drop(body);
    assert_ending(&tracing.only(), Ending::COMPLETED);
}
