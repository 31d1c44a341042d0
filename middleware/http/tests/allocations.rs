//! What a layer allocates over the bare service. Reallocations count.
//!
//! The request is that of the project's budgets: `GET /users/42?q=abc` with eight headers and no
//! `tracestate`, one pending poll, a body of one frame. Each exchange runs once before it is counted,
//! since the first on a thread fills what the thread keeps: the stack of contexts, the random
//! numbers, the texts that come again and again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor, TracerProviderBuilder,
};
use tower::{Service, service_fn};
use towline_http::server::PeerAddr;
use towline_http::{Begin, Filter, Filters, SampledFlag, Trace, Trust, client, server};
use towline_sampler::{Control, Limit, Rate, Sampler};
use towline_span::Spans;
use towline_test_support::{Caller, SampledIds, ScriptedFuture, allocations};

/// Looks at a span and lets it go, as a processor does that encodes it on the spot.
#[derive(Clone, Debug, Default)]
struct Discard {
    spans: Arc<AtomicUsize>,
    attributes: Arc<AtomicUsize>,
}

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

/// A pipeline with our sampler, whose spans are discarded.
struct Pipeline {
    discarded: Discard,
    control: Control,
    spans: Spans<SdkTracer>,
}

impl Pipeline {
    fn new(rate: Rate) -> Self {
        Self::on(rate, SdkTracerProvider::builder())
    }

    /// One that samples half of its roots: all that are made here.
    fn sampling_some() -> Self {
        let provider = SdkTracerProvider::builder().with_id_generator(SampledIds);
        Self::on(Rate::per_million(500_000).unwrap(), provider)
    }

    fn on(rate: Rate, provider: TracerProviderBuilder) -> Self {
        let (discarded, control) = (Discard::default(), Control::new(rate));
        let sampler = Sampler::new(control.clone());
        let provider = provider
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
            .with_route(|request| Some(Cow::Borrowed(request.extensions.get::<Route>()?.0)))
    }

    fn client(&self) -> client::TraceLayer<SdkTracer> {
        client::TraceLayer::from_spans(self.spans.clone())
            .with_template(|request| Some(Cow::Borrowed(request.extensions.get::<Route>()?.0)))
    }

    /// That both exchanges, the first and the counted one, ended a span with this many attributes.
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

#[derive(Clone)]
struct Route(&'static str);

fn request(target: &'static str, caller: Option<Caller>) -> Request<()> {
    let mut request = Request::get(target)
        .header("host", "users.example:8080")
        .header("user-agent", "curl/8.7.1")
        .header("accept", "*/*")
        .header("accept-encoding", "gzip, br")
        .header("accept-language", "en")
        .header("cache-control", "no-cache")
        .header("cookie", "session=1")
        .header("x-request-id", "7f3c");
    if let Some(caller) = caller {
        request = request.header("traceparent", caller.traceparent());
    }
    request
        .extension(PeerAddr(SocketAddr::from(([198, 51, 100, 7], 54321))))
        .extension(Route("/users/{id}"))
        .body(())
        .unwrap()
}

fn to_server(caller: Option<Caller>) -> Request<()> {
    request("/users/42?q=abc", caller)
}

fn to_upstream() -> Request<()> {
    request("http://users.example:8080/users/42?q=abc", None)
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

fn bare() -> impl Service<
    Request<()>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = ScriptedFuture<Answer>,
> {
    service_fn(|_request| {
        let body = Full::new(Bytes::from_static(b"{\"name\":\"Ada\"}"));
        ScriptedFuture::ready(Ok(Response::new(body))).after(1)
    })
}

/// One exchange, as a server drives it: it stops when the body says that it is over.
fn exchange<S, B>(service: &mut S, request: Request<()>)
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
    assert!(matches!(
        body.as_mut().poll_frame(&mut cx),
        Poll::Ready(Some(Ok(_)))
    ));
    assert!(body.is_end_stream());
}

/// The allocations of the second of two exchanges with such a request.
fn counted<S, B>(mut service: S, request: impl Fn() -> Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    exchange(&mut service, request());
    let request = request();
    allocations::count(|| exchange(&mut service, request))
        .1
        .count
}

/// The allocations of a layer, over those of the bare service.
fn added<L: Begin>(layer: L, request: impl Fn() -> Request<()>) -> u64 {
    let without = counted(bare(), &request);
    counted(Trace::new(bare(), layer), &request) - without
}

#[test]
fn the_bare_service_allocates_nothing() {
    assert_eq!(counted(bare(), || to_server(None)), 0);
}

#[test]
fn a_server_that_is_off_allocates_nothing() {
    let pipeline = Pipeline::off();
    assert_eq!(added(pipeline.server(), || to_server(None)), 0);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_that_is_off_takes_one_to_pass_its_caller_on() {
    for caller in [Caller::sampled(), Caller::not_sampled()] {
        let pipeline = Pipeline::off();
        let request = || to_server(Some(caller.clone()));
        assert_eq!(added(pipeline.server(), request), 1);
        pipeline.assert_not_recorded();
    }
}

#[test]
fn a_server_takes_one_for_a_root_that_is_not_sampled() {
    let pipeline = Pipeline::new(Rate::NEVER);
    assert_eq!(added(pipeline.server(), || to_server(None)), 1);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_takes_one_for_a_caller_that_is_not_sampled() {
    let pipeline = Pipeline::new(Rate::ALWAYS);
    let request = || to_server(Some(Caller::not_sampled()));
    assert_eq!(added(pipeline.server(), request), 1);
    pipeline.assert_not_recorded();
}

#[test]
fn a_server_takes_seven_for_a_sampled_caller_with_all_thirteen_attributes() {
    // The caller's context, the vector of attributes, the path, the query, the name, and two for
    // the span in its context. The budget is eight.
    for caller in [Caller::sampled(), Caller::sampled().with_random_flag()] {
        let pipeline = Pipeline::new(Rate::NEVER);
        let request = || to_server(Some(caller.clone()));
        assert_eq!(added(pipeline.server(), request), 7);
        pipeline.assert_recorded(13);
    }
}

#[test]
fn a_server_takes_six_for_a_root_with_all_thirteen_attributes_where_all_are_sampled() {
    // No caller's context.
    let pipeline = Pipeline::new(Rate::ALWAYS);
    assert_eq!(added(pipeline.server(), || to_server(None)), 6);
    pipeline.assert_recorded(13);
}

#[test]
fn a_server_takes_nine_for_a_sampled_root_where_some_are() {
    // The SDK's own vector grows three times: such a root is described only once it is known to be
    // sampled, and then it is too late to hand the vector over.
    let pipeline = Pipeline::sampling_some();
    assert_eq!(added(pipeline.server(), || to_server(None)), 9);
    pipeline.assert_recorded(13);
}

#[test]
fn a_filter_that_matches_takes_what_a_layer_takes_that_is_off() {
    let filters = || Filters::new([Filter::path_prefix("/users")]);
    for (caller, expected) in [(None, 0), (Some(Caller::sampled()), 1)] {
        let pipeline = Pipeline::new(Rate::ALWAYS);
        let layer = pipeline.server().with_filters(filters());
        assert_eq!(added(layer, || to_server(caller.clone())), expected);
        pipeline.assert_not_recorded();
    }
    let pipeline = Pipeline::new(Rate::ALWAYS);
    let layer = pipeline.client().with_filters(filters());
    assert_eq!(added(layer, to_upstream), 0);
    pipeline.assert_not_recorded();
}

#[test]
fn a_filter_that_does_not_match_takes_nothing() {
    let pipeline = Pipeline::new(Rate::NEVER);
    let layer = pipeline
        .server()
        .with_filters(Filters::new([Filter::path("/healthz")]));
    let request = || to_server(Some(Caller::sampled()));
    assert_eq!(added(layer, request), 7);
    pipeline.assert_recorded(13);
}

#[test]
fn a_stranger_whose_request_is_not_sampled_takes_one_like_anybody() {
    for trust in [
        Trust::parent(),
        Trust::parent().with_sampled(SampledFlag::Ignore),
        Trust::ignore(),
        Trust::link(),
    ] {
        let fixed = trust.clone();
        let pipeline = Pipeline::new(Rate::NEVER);
        let caller = Some(Caller::not_sampled());
        let layer = pipeline.server().with_trust(fixed);
        assert_eq!(added(layer, || to_server(caller.clone())), 1, "{trust:?}");
        let chosen = trust.clone();
        let layer = pipeline.server().with_trust_by(move |_| chosen.clone());
        assert_eq!(added(layer, || to_server(caller.clone())), 1, "{trust:?}");
        pipeline.assert_not_recorded();
    }
}

#[test]
fn a_limit_takes_nothing_where_it_refuses_and_a_value_of_the_context_where_it_admits() {
    let pipeline = Pipeline::new(Rate::NEVER);
    let request = || to_server(Some(Caller::sampled()));
    pipeline
        .control
        .set_remote_limit(Some(Limit::per_second(0)));
    // The table of answers is made with the first one.
    assert_eq!(added(pipeline.server(), request), 1);
    pipeline.assert_not_recorded();
    let pipeline = Pipeline::new(Rate::NEVER);
    pipeline
        .control
        .set_remote_limit(Some(Limit::per_second(1_000_000)));
    assert_eq!(added(pipeline.server(), request), 7 + 3);
    pipeline.assert_recorded(13);
}

#[test]
fn a_client_that_is_off_allocates_nothing_without_a_context() {
    let pipeline = Pipeline::off();
    assert_eq!(added(pipeline.client(), to_upstream), 0);
    pipeline.assert_not_recorded();
}

#[test]
fn a_client_that_is_off_takes_one_for_the_header() {
    let pipeline = Pipeline::off();
    let _attached = Caller::sampled().context().attach();
    assert_eq!(added(pipeline.client(), to_upstream), 1);
    pipeline.assert_not_recorded();
}

#[test]
fn a_client_takes_two_for_a_trace_that_is_not_sampled() {
    // The context and the header.
    let pipeline = Pipeline::new(Rate::NEVER);
    assert_eq!(added(pipeline.client(), to_upstream), 2);
    let _attached = Caller::not_sampled().context().attach();
    assert_eq!(added(pipeline.client(), to_upstream), 2);
    pipeline.assert_not_recorded();
}

#[test]
fn a_client_takes_six_under_a_sampled_parent_with_all_seven_attributes() {
    // The vector of attributes, the URL, the name, two for the span in its context, the header.
    let pipeline = Pipeline::new(Rate::NEVER);
    let _attached = Caller::sampled().context().attach();
    assert_eq!(added(pipeline.client(), to_upstream), 6);
    pipeline.assert_recorded(7);
}

#[test]
fn a_client_takes_six_for_a_root_where_all_are_sampled() {
    let pipeline = Pipeline::new(Rate::ALWAYS);
    assert_eq!(added(pipeline.client(), to_upstream), 6);
    pipeline.assert_recorded(7);
}

#[test]
fn a_client_takes_eight_for_a_sampled_root_where_some_are() {
    // The same, and the SDK's own vector grows twice.
    let pipeline = Pipeline::sampling_some();
    assert_eq!(added(pipeline.client(), to_upstream), 8);
    pipeline.assert_recorded(7);
}

#[test]
fn what_is_listed_and_not_there_adds_nothing_at_the_start_and_one_to_wait_for_the_response() {
    let listed = || [http::HeaderName::from_static("x-tenant")];
    let pipeline = Pipeline::new(Rate::NEVER);
    let request = || to_server(Some(Caller::sampled()));
    let layer = pipeline.server().with_request_headers(listed());
    assert_eq!(added(layer, request), 7);
    pipeline.assert_recorded(13);
    let layer = pipeline.server().with_response_headers(listed());
    assert_eq!(added(layer, request), 8);
}

#[test]
fn hooks_cost_nothing_for_what_is_not_sampled() {
    let pipeline = Pipeline::new(Rate::ALWAYS);
    let request = || to_server(Some(Caller::not_sampled()));
    let layer = pipeline
        .server()
        .with_request_headers([http::header::ACCEPT])
        .on_request(|_, _| {})
        .on_end(|_, _| {});
    assert_eq!(added(layer, request), 1);
    pipeline.assert_not_recorded();
}
