//! What the layers record between scripted services and bodies.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData};
use tower::{Layer, Service, service_fn};
use towline_grpc::{ByContentType, Conventions, client, server};
use towline_span::{Outcome, Spans};
use towline_test_support::{
    BodyStep, Caller, Memory, Probe, SamplerSpy, ScriptedBody, ScriptedFuture, TestTracing,
    assert_child_of, assert_no_duplicate_attributes, assert_outcome, assert_root, attribute,
    error_description, text_attribute,
};

mod attributes;
mod context;
mod endings;
mod extras;
mod trust;

type Answer = Result<Response<ScriptedBody>, BoxError>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Both sides, to be asked the same.
fn sides() -> [(SpanKind, TestTracing); 2] {
    [SpanKind::Server, SpanKind::Client].map(|kind| (kind, TestTracing::always()))
}

/// Sends a call through the default layer of a side.
fn through(kind: &SpanKind, tracing: &TestTracing, answer: ScriptedFuture<Answer>) {
    let request = Request::post("/a.B/C").body(()).unwrap();
    match kind {
        SpanKind::Server => {
            let layer = server::TraceLayer::from_spans(tracing.spans());
            drive(layer.layer(scripted(answer)), request);
        }
        _ => {
            let layer = client::TraceLayer::from_spans(tracing.spans());
            drive(layer.layer(scripted(answer)), request);
        }
    }
}

/// A service that has one answer.
fn scripted(
    answer: ScriptedFuture<Answer>,
) -> impl Service<
    Request<()>,
    Response = Response<ScriptedBody>,
    Error = BoxError,
    Future = ScriptedFuture<Answer>,
> {
    let mut answer = Some(answer);
    service_fn(move |_request| answer.take().unwrap())
}

/// Drives a call to its end, or as far as it goes.
fn drive<S, B>(mut service: S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = BoxError>,
    B: Body<Data = Bytes>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
        return;
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(Ok(_frame))) = body.as_mut().poll_frame(&mut cx) {}
}

fn answering(
    head: &[(&'static str, &'static str)],
    steps: impl IntoIterator<Item = BodyStep>,
) -> ScriptedFuture<Answer> {
    let mut response = Response::new(ScriptedBody::new(&Probe::new(), steps));
    for (name, value) in head {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        response.headers_mut().append(name, value);
    }
    ScriptedFuture::ready(Ok(response))
}

fn ok() -> ScriptedFuture<Answer> {
    answering(&[], [BodyStep::trailer("grpc-status", "0")])
}

fn code(span: &SpanData) -> String {
    text_attribute(span, "rpc.response.status_code").unwrap()
}
