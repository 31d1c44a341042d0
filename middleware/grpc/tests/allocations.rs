//! What a layer allocates over the bare service. Reallocations count.
//!
//! The call is a unary one as tonic makes it, with eight lines of metadata and no `tracestate`, one
//! pending poll, a body of a message and trailers. Each call runs once before it is counted, since the
//! first on a thread fills what the thread keeps.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Service, service_fn};
use towline_grpc::{client, server};
use towline_http::{Begin, Filter, Filters, PeerAddr, Trace, Trust};
use towline_sampler::{Control, Rate, Sampler};
use towline_span::Spans;
use towline_test_support::{Caller, ScriptedFuture, allocations};

/// Looks at a span and lets it go.
#[derive(Clone, Debug, Default)]
struct Discard {
    spans: Arc<AtomicUsize>,
    attributes: Arc<AtomicUsize>,
}

/// A pipeline with our sampler, whose spans are discarded.
struct Pipeline {
    discarded: Discard,
    control: Control,
    spans: Spans<SdkTracer>,
}

/// A message and then the trailers, which are made beforehand.
struct Message(Option<Bytes>, Option<HeaderMap>);

// === impl Discard ===

impl SpanProcessor for Discard {
    fn on_start(&self, _span: &mut Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.spans.fetch_add(1, Ordering::SeqCst);
        let attributes = span.attributes.len();
        self.attributes.store(attributes, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

// === impl Pipeline ===

impl Pipeline {
    fn new(rate: Rate) -> Self {
        let (discarded, control) = (Discard::default(), Control::new(rate));
        let sampler = Sampler::new(control.clone());
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_processor(discarded.clone())
            .build();
        Self {
            discarded,
            control,
            spans: Spans::new(provider.tracer("test")).with_sampler(sampler),
        }
    }

    fn off() -> Self {
        let pipeline = Self::new(Rate::ALWAYS);
        pipeline.control.set_enabled(false);
        pipeline
    }

    fn server(&self) -> server::TraceLayer<SdkTracer> {
        server::TraceLayer::from_spans(self.spans.clone())
    }

    fn client(&self) -> client::TraceLayer<SdkTracer> {
        client::TraceLayer::from_spans(self.spans.clone()).with_server("greeter.example", 50051)
    }

    /// That both calls, the first and the counted one, ended a span with this many attributes.
    #[track_caller]
    fn assert_recorded(&self, attributes: usize) {
        assert_eq!(self.discarded.spans.load(Ordering::SeqCst), 2, "spans");
        let found = self.discarded.attributes.load(Ordering::SeqCst);
        assert_eq!(found, attributes, "attributes");
    }

    #[track_caller]
    fn assert_not_recorded(&self) {
        assert_eq!(self.discarded.spans.load(Ordering::SeqCst), 0, "spans");
    }
}

// === impl Message ===

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.0.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.1.take().map(Frame::trailers).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.1.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn request(caller: Option<Caller>) -> Request<()> {
    let mut request = Request::post("http://greeter.example:50051/hello.Greeter/SayHello")
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("user-agent", "tonic/0.14.9")
        .header("grpc-accept-encoding", "gzip")
        .header("grpc-timeout", "10S")
        .header("authorization", "Bearer token")
        .header("x-request-id", "7f3c")
        .header("x-tenant", "a");
    if let Some(caller) = caller {
        request = request.header("traceparent", caller.traceparent());
    }
    request
        .extension(PeerAddr(SocketAddr::from(([198, 51, 100, 7], 54321))))
        .body(())
        .unwrap()
}

/// A request as a client makes it, with nothing in it that the layer would replace.
fn outgoing() -> Request<()> {
    request(None)
}

type Answer = Result<Response<Message>, Infallible>;

fn bare() -> impl Service<
    Request<()>,
    Response = Response<Message>,
    Error = Infallible,
    Future = ScriptedFuture<Answer>,
> {
    let status = (
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    );
    let mut answers: Vec<_> = [status.clone(), status]
        .map(|status| HeaderMap::from_iter([status]))
        .into();
    service_fn(move |_call| {
        let message = Bytes::from_static(b"\0\0\0\0\x05hello");
        let trailers = answers.pop();
        assert!(trailers.is_some());
        ScriptedFuture::ready(Ok(Response::new(Message(Some(message), trailers)))).after(1)
    })
}

/// One call, as a server or a client drives it.
fn call<S, B>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = pin!(service.call(request));
    assert!(future.as_mut().poll(&mut cx).is_pending());
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut cx) else {
        panic!("one poll is pending, the next is not");
    };
    let mut body = pin!(response.into_body());
    for _frame in 0..2 {
        let frame = body.as_mut().poll_frame(&mut cx);
        assert!(matches!(frame, Poll::Ready(Some(Ok(_)))));
    }
    assert!(body.is_end_stream());
}

/// The allocations of the second of two such calls.
fn counted<S, B>(mut service: S, request: impl Fn() -> Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    call(&mut service, request());
    let request = request();
    allocations::count(|| call(&mut service, request)).1.count
}

/// The allocations of a layer, over those of the bare service.
fn added<L: Begin>(layer: L, request: impl Fn() -> Request<()>) -> u64 {
    let without = counted(bare(), &request);
    counted(Trace::new(bare(), layer), &request) - without
}

#[test]
fn the_bare_service_allocates_nothing() {
    assert_eq!(counted(bare(), || request(None)), 0);
}

#[test]
fn a_server_that_is_off_allocates_nothing() {
    let pipeline = Pipeline::off();
    assert_eq!(added(pipeline.server(), || request(None)), 0);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_that_is_off_takes_one_to_pass_its_caller_on() {
    let pipeline = Pipeline::off();
    let request = || request(Some(Caller::sampled()));
    assert_eq!(added(pipeline.server(), request), 1);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_takes_one_for_a_root_that_is_not_sampled() {
    let pipeline = Pipeline::new(Rate::NEVER);
    assert_eq!(added(pipeline.server(), || request(None)), 1);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_takes_one_for_a_caller_that_is_not_sampled() {
    let pipeline = Pipeline::new(Rate::ALWAYS);
    let request = || request(Some(Caller::not_sampled()));
    assert_eq!(added(pipeline.server(), request), 1);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_takes_six_for_a_sampled_caller_with_all_seven_attributes() {
    // The caller's context, the vector of attributes, the name, what is learnt of the call, and two
    // for the span in its context.
    let pipeline = Pipeline::new(Rate::NEVER);
    let request = || request(Some(Caller::sampled()));
    assert_eq!(added(pipeline.server(), request), 6);
    pipeline.assert_recorded(7);
}

#[test]
fn a_filter_that_matches_takes_what_a_layer_takes_that_is_off() {
    for (caller, expected) in [(None, 0), (Some(Caller::sampled()), 1)] {
        let pipeline = Pipeline::new(Rate::ALWAYS);
        let filters = Filters::new([Filter::path_prefix("/")]);
        let layer = pipeline.server().with_filters(filters);
        assert_eq!(added(layer, || request(caller.clone())), expected);
        pipeline.assert_not_recorded();
    }
}

#[test]
fn a_stranger_whose_call_is_not_sampled_takes_one_like_anybody() {
    for trust in [Trust::parent(), Trust::ignore(), Trust::link()] {
        let pipeline = Pipeline::new(Rate::NEVER);
        let layer = pipeline.server().with_trust(trust);
        assert_eq!(added(layer, || request(Some(Caller::not_sampled()))), 1);
        pipeline.assert_not_recorded();
    }
}

#[test]
fn a_client_takes_two_for_a_trace_that_is_not_sampled() {
    // The context and the header.
    let pipeline = Pipeline::new(Rate::NEVER);
    assert_eq!(added(pipeline.client(), outgoing), 2);
    let _attached = Caller::not_sampled().context().attach();
    assert_eq!(added(pipeline.client(), outgoing), 2);
    pipeline.assert_not_recorded();
}

#[test]
fn a_client_takes_six_under_a_sampled_parent_with_all_five_attributes() {
    // The vector of attributes, the name, what is learnt of the call, two for the span in its context,
    // the header.
    let pipeline = Pipeline::new(Rate::NEVER);
    let _attached = Caller::sampled().context().attach();
    assert_eq!(added(pipeline.client(), outgoing), 6);
    pipeline.assert_recorded(5);
}
