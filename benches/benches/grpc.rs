//! A gRPC call through a layer, beside a plain layer on the OpenTelemetry SDK that does the same job.
//!
//! The call is a unary one with eight lines of metadata and no `tracestate`, one pending poll, a body of a message and
//! trailers. The plain layer has the SDK's propagator, a builder with the same attributes, the context attached in `call`,
//! in every poll and in every frame, and takes the status from the trailers. Spans are dropped by the processor. The times
//! are net of the bare service.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench is run by people, and may fail"
)]

mod plain;

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Layer, Service};
use towline_grpc::{client, server};
use towline_http::PeerAddr;
use towline_sampler::{Control, Rate, Sampler};
use towline_span::Spans;

/// Calls in one measurement.
const CALLS: usize = 256;

/// Lets every span go.
#[derive(Debug)]
struct Discard;

impl SpanProcessor for Discard {
    fn on_start(&self, _span: &mut Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        drop(black_box(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The service inside.
#[derive(Clone)]
struct Bare;

/// Pending once.
struct Later(bool);

/// A message and then the trailers.
struct Message(u8);

impl Service<Request<()>> for Bare {
    type Response = Response<Message>;
    type Error = Infallible;
    type Future = Later;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Later {
        black_box(&request);
        Later(true)
    }
}

impl Future for Later {
    type Output = Result<Response<Message>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.0) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(Response::new(Message(0))))
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        Poll::Ready(match self.0 {
            1 => Some(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x05hello")))),
            2 => {
                let mut trailers = HeaderMap::with_capacity(1);
                let name = HeaderName::from_static("grpc-status");
                trailers.insert(name, HeaderValue::from_static("0"));
                Some(Ok(Frame::trailers(trailers)))
            }
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0 >= 2
    }
}

fn request(traceparent: Option<&'static str>) -> Request<()> {
    let mut request = Request::post("http://greeter.example:50051/hello.Greeter/SayHello")
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("user-agent", "tonic/0.14.9")
        .header("grpc-accept-encoding", "gzip")
        .header("grpc-timeout", "10S")
        .header("authorization", "Bearer token")
        .header("x-request-id", "7f3c")
        .header("x-tenant", "a");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let peer = PeerAddr(SocketAddr::from(([198, 51, 100, 7], 54321)));
    request.extension(peer).body(()).unwrap()
}

/// One call, as a server or a client drives it.
fn call<S, B>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = pin!(service.call(request));
    assert!(future.as_mut().poll(&mut cx).is_pending());
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut cx) else {
        panic!("one poll is pending, the next is not");
    };
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        let frame = body.as_mut().poll_frame(&mut cx);
        drop(black_box(frame));
    }
}

/// Many calls of one kind, through one of the services.
type Calls = Box<dyn FnMut(Vec<Request<()>>)>;

fn calls<S, B>(mut service: S) -> Calls
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'static,
    B: Body<Data = Bytes>,
{
    Box::new(move |requests| {
        for request in requests {
            call(&mut service, request);
        }
    })
}

/// One line of the table: what is called, with which `traceparent`, at which rate.
struct Row {
    name: &'static str,
    traceparent: Option<&'static str>,
    rate: Rate,
    is_on: bool,
    is_client: bool,
}

const SAMPLED: Option<&str> = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

const NOT_SAMPLED: Option<&str> = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");

const ROWS: &[Row] = &[
    Row::server("server, off, no traceparent", None, Rate::ALWAYS).off(),
    Row::server("server, off, traceparent", SAMPLED, Rate::ALWAYS).off(),
    Row::server("server, root that is not sampled", None, Rate::NEVER),
    Row::server(
        "server, caller that is not sampled",
        NOT_SAMPLED,
        Rate::ALWAYS,
    ),
    Row::server("server, caller that is sampled", SAMPLED, Rate::NEVER),
    Row::client("client, root that is not sampled", Rate::NEVER),
    Row::client("client, root that is sampled", Rate::ALWAYS),
];

impl Row {
    const fn server(name: &'static str, traceparent: Option<&'static str>, rate: Rate) -> Self {
        Self {
            name,
            traceparent,
            rate,
            is_on: true,
            is_client: false,
        }
    }

    const fn client(name: &'static str, rate: Rate) -> Self {
        Self {
            is_client: true,
            ..Self::server(name, None, rate)
        }
    }

    const fn off(self) -> Self {
        Self {
            is_on: false,
            ..self
        }
    }

    fn requests(&self) -> Vec<Request<()>> {
        (0..CALLS).map(|_| request(self.traceparent)).collect()
    }

    /// Ours and the plain one.
    fn services(&self) -> (Calls, Calls) {
        let control = Control::new(self.rate);
        control.set_enabled(self.is_on);
        let sampler = Sampler::new(control);
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_processor(Discard)
            .build();
        let tracer = provider.tracer("bench");
        let spans = Spans::new(tracer.clone()).with_sampler(sampler);
        if self.is_client {
            let ours = client::TraceLayer::from_spans(spans).layer(Bare);
            (calls(ours), calls(plain::Plain::client(Bare, tracer)))
        } else {
            let ours = server::TraceLayer::from_spans(spans).layer(Bare);
            (calls(ours), calls(plain::Plain::server(Bare, tracer)))
        }
    }
}

/// Times the bare service, ours and the plain one in turns, so that whatever slows the machine down slows down all. The
/// quickest round of each counts: noise only ever adds.
fn table() {
    let rounds = if std::env::args().any(|argument| argument == "--test") {
        1
    } else {
        2000
    };
    for row in ROWS {
        let (ours, plain) = row.services();
        let mut all = [calls(Bare), ours, plain];
        let mut best = [Duration::MAX; 3];
        for _ in 0..rounds {
            for (calls, best) in all.iter_mut().zip(&mut best) {
                let requests = row.requests();
                let start = Instant::now();
                calls(requests);
                *best = start.elapsed().min(*best);
            }
        }
        let [bare, ours, plain] = best.map(|time| time.as_nanos() as f64 / CALLS as f64);
        println!(
            "{:36} towline {:5.0} ns, plain SDK layer {:5.0} ns, ratio {:.2} (bare service {bare:.0} ns)",
            row.name,
            ours - bare,
            plain - bare,
            (ours - bare) / (plain - bare),
        );
    }
}

fn main() {
    table();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("grpc");
    for row in ROWS {
        let (mut ours, mut plain) = row.services();
        for (name, calls) in [("towline", &mut ours), ("plain", &mut plain)] {
            group.bench_function(format!("{}/{name}", row.name), |bencher| {
                bencher.iter_batched(|| row.requests(), &mut *calls, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
