//! Readiness is the inner service's own affair.

use std::error::Error;
use std::task::Poll;

use http::{Request, Response};
use tower::Service;
use tower_test::mock;
use towline_http::Trace;
use towline_test_support::{Probe, ScriptedBody, ScriptedFuture, ScriptedService, TestTracing};

use crate::exchange::{Answer, body, context};
use crate::side::Side;

on_both_sides! {
    is_ready_when_the_inner_service_is,
    gives_the_inner_service_s_error_instead_of_readiness,
    calls_the_very_service_that_was_polled_ready,
    a_clone_is_not_ready_because_the_original_was,
    starts_no_span_for_being_asked_whether_it_is_ready,
}

type Mock = mock::Mock<Request<()>, Response<ScriptedBody>>;

type Handle = mock::Handle<Request<()>, Response<ScriptedBody>>;

/// A layer around a mock, and the handle to what the mock does.
fn mocked<S: Side>(tracing: &TestTracing) -> (mock::Spawn<Trace<Mock, S::Layer>>, Handle) {
    let layer = S::layer_of(tracing);
    mock::spawn_with(|inner| Trace::new(inner, layer.clone()))
}

fn is_ready_when_the_inner_service_is<S: Side>() {
    let tracing = TestTracing::always();
    let (mut service, mut handle) = mocked::<S>(&tracing);
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    assert!(!service.is_woken());
    handle.allow(1);
    assert!(service.is_woken());
    assert!(matches!(service.poll_ready(), Poll::Ready(Ok(()))));
    drop(service.call(Request::new(())));
    assert!(service.poll_ready().is_pending());
}

fn gives_the_inner_service_s_error_instead_of_readiness<S: Side>() {
    #[derive(Debug)]
    struct Full;
    impl std::fmt::Display for Full {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("full")
        }
    }
    impl Error for Full {}

    let tracing = TestTracing::always();
    let (mut service, mut handle) = mocked::<S>(&tracing);
    handle.send_error(Full);
    match service.poll_ready() {
        Poll::Ready(Err(error)) => assert!(error.is::<Full>()),
        other => panic!("expected an error, got {other:?}"),
    }
    tracing.assert_none();
}

fn scripted(
    probe: &Probe,
) -> ScriptedService<impl FnMut(Request<()>) -> ScriptedFuture<Answer> + Clone + use<>> {
    ScriptedService::new(probe, |_request| {
        ScriptedFuture::ready(Ok(Response::new(body([]))))
    })
}

fn calls_the_very_service_that_was_polled_ready<S: Side>() {
    // The scripted service panics if it is called unready, and its clones are not ready.
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let mut service = Trace::new(scripted(&probe), S::layer_of(&tracing));
    for n in 1..=3 {
        assert!(service.poll_ready(&mut context()).is_ready());
        assert!(service.get_ref().is_ready());
        drop(service.call(Request::new(())));
        assert!(!service.get_ref().is_ready());
        assert_eq!((probe.readies(), probe.calls()), (n, n));
    }
}

fn a_clone_is_not_ready_because_the_original_was<S: Side>() {
    let tracing = TestTracing::always();
    let mut service = Trace::new(scripted(&Probe::new()), S::layer_of(&tracing));
    assert!(service.poll_ready(&mut context()).is_ready());
    assert!(!service.clone().get_ref().is_ready());
    assert!(service.get_mut().is_ready());
    assert!(service.into_inner().is_ready());
}

fn starts_no_span_for_being_asked_whether_it_is_ready<S: Side>() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let mut service = Trace::new(scripted(&probe), S::layer_of(&tracing));
    for _ in 0..3 {
        assert!(service.poll_ready(&mut context()).is_ready());
    }
    tracing.assert_none();
    assert!(probe.seen_in_ready().iter().all(|seen| !seen.is_valid()));
}
