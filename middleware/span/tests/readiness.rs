//! `SpanLayer` passes readiness, requests, responses and errors through untouched.

use opentelemetry_sdk::trace::SdkTracer;
use tower::util::ServiceExt;
use tower::{Layer, Service};
use tower_test::{assert_request_eq, mock};
use towline_span::{SpanLayer, SpanService};
use towline_test_support::{Probe, ScriptedFuture, ScriptedService, TestTracing};

fn layer(tracing: &TestTracing) -> SpanLayer<SdkTracer, &'static str> {
    SpanLayer::new(tracing.spans(), "backend/Get")
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_not_ready_behind_the_layer() {
    let tracing = TestTracing::always();
    let (mut service, mut handle) = mock::spawn_layer::<u32, u32, _>(layer(&tracing));
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    assert!(!service.is_woken());
    handle.allow(1);
    assert!(service.is_woken());
    assert!(service.poll_ready().is_ready());
    let response = service.call(1);
    assert!(service.poll_ready().is_pending());
    assert_request_eq!(handle, 1).send_response(2);
    assert_eq!(response.await.unwrap(), 2);
    assert_eq!(tracing.only().name, "backend/Get");
}

#[tokio::test]
async fn an_error_of_readiness_passes_through_without_a_span() {
    let tracing = TestTracing::always();
    let (mut service, mut handle) = mock::spawn_layer::<u32, u32, _>(layer(&tracing));
    handle.send_error("closed for today");
    let error = match service.poll_ready() {
        std::task::Poll::Ready(Err(error)) => error,
        other => panic!("expected the error, found {other:?}"),
    };
    assert_eq!(error.to_string(), "closed for today");
    tracing.assert_none();
}

/// An error that is neither `Clone` nor like another one.
#[derive(Debug, PartialEq)]
struct Refused(Box<u64>);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused with {}", self.0)
    }
}

#[tokio::test]
async fn the_response_and_the_error_are_those_of_the_service() {
    for tracing in [
        TestTracing::always(),
        TestTracing::never(),
        TestTracing::off(),
    ] {
        let mut service = layer(&tracing).layer(tower::service_fn(async |ok: bool| {
            ok.then(|| Box::new(5)).ok_or(Refused(Box::new(7)))
        }));
        assert_eq!(service.call(true).await, Ok(Box::new(5)));
        assert_eq!(service.call(false).await, Err(Refused(Box::new(7))));
    }
}

#[test]
fn a_clone_is_not_ready_because_the_original_is() {
    let tracing = TestTracing::always();
    let (mut service, mut handle) = mock::spawn_layer::<u32, u32, _>(layer(&tracing));
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let mut clone = service.clone();
    // The ready one still holds its turn, so one call may go out; the clone must ask for its own.
    drop(service.call(1));
    assert!(clone.poll_ready().is_pending());
}

#[test]
#[should_panic(expected = "service not ready")]
fn the_service_inside_is_called_only_when_polled_ready() {
    let tracing = TestTracing::always();
    let (service, _handle) = mock::spawn_layer::<u32, u32, _>(layer(&tracing));
    let mut clone = service.clone();
    drop(clone.call(1));
}

#[test]
fn the_very_service_that_was_polled_ready_is_called() {
    let (tracing, probe) = (TestTracing::always(), Probe::new());
    let inner = ScriptedService::new(&probe, |n: u32| ScriptedFuture::ready(Ok::<_, Refused>(n)));
    let mut service = layer(&tracing).layer(inner);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    assert!(service.get_ref().is_ready());
    // Neither polling a clone nor dropping it disturbs the original.
    let mut clone = service.clone();
    assert!(!clone.get_ref().is_ready());
    assert!(Service::<u32>::poll_ready(&mut clone, &mut cx).is_ready());
    drop(clone);
    drop(service.call(1));
    assert!(!service.get_ref().is_ready());
    assert_eq!((probe.readies(), probe.calls()), (2, 1));
}

/// A service that cannot be cloned, with a response that borrows from nothing and is not `Send`.
struct Counter {
    calls: std::rc::Rc<std::cell::Cell<u32>>,
}

impl Service<()> for Counter {
    type Response = std::rc::Rc<std::cell::Cell<u32>>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        std::future::ready(Ok(self.calls.clone()))
    }
}

#[tokio::test]
async fn a_service_that_is_neither_clone_nor_send_is_served() {
    let tracing = TestTracing::always();
    let mut service = layer(&tracing).layer(Counter {
        calls: std::rc::Rc::default(),
    });
    assert_eq!(
        service.ready().await.unwrap().call(()).await.unwrap().get(),
        1
    );
    service.get_mut().calls.set(7);
    assert_eq!(service.into_inner().calls.get(), 7);
    tracing.only();
}

#[test]
fn the_service_can_be_named() {
    fn named(service: SpanService<Counter, SdkTracer, &'static str>) -> Counter {
        service.into_inner()
    }
    let service = layer(&TestTracing::always()).layer(Counter {
        calls: std::rc::Rc::default(),
    });
    assert_eq!(named(service).calls.get(), 0);
}
