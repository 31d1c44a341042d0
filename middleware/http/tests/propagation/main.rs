//! Trace context in and out of a process: who is whose parent, and what goes over the wire.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tower::util::ServiceFn;
use tower::{Service, service_fn};
use towline_http::{Begin, Trace};
use towline_test_support::{Caller, TestTracing};

mod baggage;
mod custom;
mod filtered;
mod incoming;
mod outgoing;
mod passing_on;
mod query;
mod random_flag;
mod switched_off;
mod through;
mod trust;

/// What an inner service sees: the headers that reach it, and the context that is current.
struct Inside {
    headers: HeaderMap,
    context: opentelemetry::Context,
}

impl Inside {
    /// The span context that is current.
    fn current(&self) -> SpanContext {
        self.context.span().span_context().clone()
    }

    /// The one value of a header that reaches the inner service.
    #[track_caller]
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }
}

/// What is innermost.
type Innermost = ServiceFn<Box<dyn FnMut(Request<()>) -> Ready<Answer>>>;

type Answer = Result<Response<Empty<Bytes>>, Infallible>;

/// Sends a request with these headers through a layer, and looks around inside.
fn inside<L: Begin>(layer: L, headers: &[(&str, &str)]) -> Inside {
    inside_of(|innermost| Trace::new(innermost, layer), headers)
}

/// Sends a request with these headers through a stack, and looks around inside of all of it.
fn inside_of<S, B>(stack: impl FnOnce(Innermost) -> S, headers: &[(&str, &str)]) -> Inside
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let (see, seen) = std::sync::mpsc::channel();
    let innermost: Innermost = service_fn(Box::new(move |request: Request<()>| {
        let inside = Inside {
            headers: request.headers().clone(),
            context: opentelemetry::Context::current(),
        };
        see.send(inside).unwrap();
        ready(Ok(Response::default()))
    }));
    let mut future = Box::pin(stack(innermost).call(request(headers)));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(_response)) => {}
        Poll::Pending => panic!("the service answers at once"),
    }
    seen.try_recv().expect("the service was called")
}

fn request(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::get("http://users.example/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// The `traceparent` that stands for a span context.
fn traceparent(context: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags()
    )
}

/// Pipelines that record nothing and start nothing: switched off, and shut down.
fn silent() -> [TestTracing; 2] {
    let shut_down = TestTracing::always();
    shut_down.shutdown();
    [TestTracing::off(), shut_down]
}

/// Callers of every kind: sampled or not, with the random flag and without.
fn callers() -> [Caller; 4] {
    [0, 1, 2, 3].map(Caller::with_flags)
}
