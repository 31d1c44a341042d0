//! What a span says when the service or the body gives an error.

use std::error::Error;
use std::future::ready;
use std::task::Poll;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use opentelemetry::trace::Status;
use tower::{Service, service_fn};
use towline_http::Trace;
use towline_span::{MAX_DESCRIPTION_BYTES, Outcome};
use towline_test_support::{
    BodyStep, ScriptedError, ScriptedFuture, TestTracing, error_description,
};

use crate::exchange::{Ending, Exchange, assert_ending, body, context, data};
use crate::side::Side;

pub(crate) const SCRIPTED_ERROR: &str = "towline_test_support::body::ScriptedError";

type Boxed = Box<dyn Error + Send + Sync>;

on_both_sides! {
    fails_when_the_service_does,
    fails_when_the_body_does,
    fails_by_the_error_rather_than_the_status,
    an_error_of_a_known_type_is_named_by_it_alone,
    a_boxed_error_is_named_other_and_described_by_its_text,
    a_boxed_error_of_a_body_is_described_too,
    the_text_of_a_boxed_error_is_cut,
    the_error_comes_out_as_the_very_value_that_it_was,
}

fn fails_when_the_service_does<S: Side>() {
    let future = ScriptedFuture::ready(Err(ScriptedError("refused"))).after(1);
    let mut exchange = Exchange::<S>::future(future);
    assert!(exchange.poll().is_pending());
    exchange.assert_open();
    assert_eq!(exchange.head(), Err(ScriptedError("refused")));
    exchange.assert_ended(Ending::before_head(Outcome::Failed).with_error_type(SCRIPTED_ERROR));
}

fn fails_when_the_body_does<S: Side>() {
    let steps = [data("one"), BodyStep::Error("reset"), data("two")];
    let mut exchange = Exchange::<S>::get(Response::new(body(steps)));
    exchange.head().unwrap();
    exchange.data();
    exchange.assert_open();
    match exchange.frame() {
        Poll::Ready(Some(Err(error))) => assert_eq!(error, ScriptedError("reset")),
        other => panic!("expected an error, got {other:?}"),
    }
    exchange.assert_ended(Ending::after_ok(Outcome::Failed).with_error_type(SCRIPTED_ERROR));
    // What comes after is no more of the span's.
    assert_eq!(exchange.data(), "two");
    exchange.drop();
    assert_eq!(exchange.tracing.finished().len(), 1);
}

fn fails_by_the_error_rather_than_the_status<S: Side>() {
    let mut response = Response::new(body([BodyStep::Error("reset")]));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    let mut exchange = Exchange::<S>::get(response);
    exchange.head().unwrap();
    assert!(exchange.frame().is_ready());
    exchange.assert_ended(
        Ending::after_ok(Outcome::Failed)
            .with_status(StatusCode::BAD_GATEWAY)
            .with_error_type(SCRIPTED_ERROR),
    );
}

fn an_error_of_a_known_type_is_named_by_it_alone<S: Side>() {
    let mut exchange = Exchange::<S>::future(ScriptedFuture::ready(Err(ScriptedError("secret"))));
    exchange.head().unwrap_err();
    let span = exchange.tracing.only();
    assert_eq!(error_description(&span), Some(""));
}

/// The span of a service that fails with this.
fn failing<S: Side, E: 'static>(error: E) -> (TestTracing, E) {
    let tracing = TestTracing::always();
    let mut error = Some(error);
    let service = service_fn(move |_request: Request<()>| {
        ready(Err::<Response<Empty<&[u8]>>, _>(error.take().unwrap()))
    });
    let mut service = Trace::new(service, S::layer_of(&tracing));
    let mut future = Box::pin(service.call(Request::new(())));
    match future.as_mut().poll(&mut context()) {
        Poll::Ready(Err(error)) => (tracing, error),
        _ => panic!("the service fails at once"),
    }
}

fn a_boxed_error_is_named_other_and_described_by_its_text<S: Side>() {
    let (tracing, _) = failing::<S, Boxed>("too late".into());
    let span = tracing.only();
    assert_ending(
        &span,
        Ending::before_head(Outcome::Failed).with_error_type("_OTHER"),
    );
    assert_eq!(span.status, Status::error("too late"));
}

fn a_boxed_error_of_a_body_is_described_too<S: Side>() {
    let tracing = TestTracing::always();
    let mut service = Trace::new(
        service_fn(|_request: Request<()>| {
            let body = body([BodyStep::Error("reset")]).map_err(Boxed::from);
            ready(Ok::<_, ScriptedError>(Response::new(body)))
        }),
        S::layer_of(&tracing),
    );
    let mut future = Box::pin(service.call(Request::new(())));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
        panic!("the service answers at once");
    };
    let mut body = response.into_body();
    let frame = http_body::Body::poll_frame(std::pin::Pin::new(&mut body), &mut context());
    assert!(matches!(frame, Poll::Ready(Some(Err(_)))));

    let span = tracing.only();
    assert_ending(
        &span,
        Ending::after_ok(Outcome::Failed).with_error_type("_OTHER"),
    );
    assert_eq!(span.status, Status::error("reset"));
}

fn the_text_of_a_boxed_error_is_cut<S: Side>() {
    let (tracing, error) = failing::<S, Boxed>("é".repeat(1_000_000).into());
    let span = tracing.only();
    let description = error_description(&span).unwrap();
    assert_eq!(description.len(), MAX_DESCRIPTION_BYTES);
    assert!(error.to_string().starts_with(description));
}

fn the_error_comes_out_as_the_very_value_that_it_was<S: Side>() {
    /// Neither an `Error`, nor shown in any way, nor to be cloned or sent.
    struct Opaque(std::rc::Rc<()>);

    let inside = std::rc::Rc::new(());
    let (tracing, error) = failing::<S, _>(Opaque(inside.clone()));
    assert!(std::rc::Rc::ptr_eq(&error.0, &inside));
    let name = std::any::type_name::<Opaque>();
    let span = tracing.only();
    assert_eq!(
        towline_test_support::text_attribute(&span, "error.type").as_deref(),
        Some(name)
    );

    let boxed: Boxed = Box::new(ScriptedError("refused"));
    let address = std::ptr::from_ref(&*boxed).addr();
    let (_, boxed) = failing::<S, Boxed>(boxed);
    assert_eq!(std::ptr::from_ref(&*boxed).addr(), address);
}
