//! What the layers ask of a service, and what they leave to it: nothing has to be `Clone`, `Send`,
//! `Debug` or an `Error`, and whatever is stays it.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use opentelemetry_sdk::trace::SdkTracer;
use tower::{Layer, Service, service_fn};
use towline_http::{ResponseBody, ResponseFuture, Trace};
use towline_test_support::TestTracing;

use crate::exchange::{Ending, assert_ending, context};
use crate::side::Side;

on_both_sides! {
    a_service_that_can_go_anywhere_still_can,
    a_service_that_can_go_nowhere_is_traced,
    a_body_without_a_span_can_be_made_out_of_nothing,
    everything_can_be_shown,
}

type Plain = fn(Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>>;

fn send_sync_static<T: Send + Sync + 'static>(_: &T) {}

fn a_service_that_can_go_anywhere_still_can<S: Side>()
where
    S::Layer: Send + Sync,
{
    let plain: Plain = |_request| ready(Ok(Response::default()));
    let layer = S::layer_of(&TestTracing::always());
    let service = Trace::new(service_fn(plain), layer.clone());
    send_sync_static(&layer);
    for mut service in [service.clone(), service] {
        send_sync_static(&service);
        let future = service.call(Request::new(()));
        send_sync_static(&future);
        let Poll::Ready(Ok(response)) = Box::pin(future).as_mut().poll(&mut context()) else {
            panic!("the service answers at once");
        };
        send_sync_static(&response);
    }
}

/// Bound to its thread, and neither shown nor cloned: a future, a body and an error.
struct Bound(Rc<()>);

impl Future for Bound {
    type Output = Result<Response<Self>, Self>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Response::new(Self(Rc::clone(&self.0)))))
    }
}

impl Body for Bound {
    type Data = Bytes;
    type Error = Self;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self>>> {
        Poll::Ready(None)
    }
}

fn a_service_that_can_go_nowhere_is_traced<S: Side>() {
    let tracing = TestTracing::always();
    let mut state = Bound(Rc::new(()));
    // It borrows, so it lives no longer than this function; it changes, so it is called by one.
    let service = service_fn(|_request: Request<Bound>| {
        state = Bound(Rc::new(()));
        Bound(Rc::clone(&state.0))
    });
    let mut service = Trace::new(service, S::layer_of(&tracing));
    let mut future = Box::pin(service.call(Request::new(Bound(Rc::new(())))));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
        panic!("the service answers at once");
    };
    let mut body = response.into_body();
    let end = Pin::new(&mut body).poll_frame(&mut context());
    assert!(matches!(end, Poll::Ready(None)));
    assert_ending(&tracing.only(), Ending::COMPLETED);
}

fn a_body_without_a_span_can_be_made_out_of_nothing<S: Side>() {
    let mut body = ResponseBody::<Full<Bytes>, S::Record>::default();
    assert!(body.is_end_stream());
    assert!(body.get_ref().is_end_stream());
    *body.get_mut() = Full::from("text");
    assert_eq!(body.size_hint().exact(), Some(4));
    assert_eq!(body.into_inner().size_hint().exact(), Some(4));
}

fn everything_can_be_shown<S: Side>()
where
    S::Layer: Debug,
    S::Record: Debug,
{
    #[derive(Debug)]
    struct Shown;
    impl Service<Request<()>> for Shown {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _request: Request<()>) -> Self::Future {
            ready(Ok(Response::new(Full::from("text"))))
        }
    }

    let mut service = Trace::new(Shown, S::layer_of(&TestTracing::always()));
    let shown = format!("{service:?}");
    assert!(
        shown.contains("Shown") && shown.contains("Options"),
        "{shown}"
    );
    let mut future = Box::pin(service.call(Request::new(())));
    let shown = format!("{future:?}");
    assert!(shown.contains("traced: true"), "{shown}");
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) else {
        panic!("the service answers at once");
    };
    let shown = format!("{response:?}");
    assert!(shown.contains("traced: true"), "{shown}");
}

#[test]
fn the_types_of_each_side_have_names() {
    use towline_http::{client, server};

    fn same<T>(_: &T, _: &T) {}

    let plain: Plain = |_request| ready(Ok(Response::default()));
    let tracing = TestTracing::always();

    let layer = server::TraceLayer::from_spans(tracing.spans());
    let mut service: server::Trace<_, SdkTracer> = layer.layer(service_fn(plain));
    let future: server::ResponseFuture<Ready<_>> = service.call(Request::new(()));
    same::<ResponseFuture<_, server::Recorder>>(&future, &future);

    let layer = client::TraceLayer::from_spans(tracing.spans());
    let mut service: client::Trace<_, SdkTracer> = layer.layer(service_fn(plain));
    let future: client::ResponseFuture<Ready<_>> = service.call(Request::new(()));
    same::<ResponseFuture<_, client::Recorder>>(&future, &future);
}
