//! What a sampled request costs while the backend is away, beside the same request while it is there.
//!
//! The exporter is the whole one: spans are encoded as they end and go to a transport in memory, which takes them, never
//! answers, or fails at once, as a refused connection does. With a backend that is away the buffer is full soon, and a
//! span is refused before it is encoded. Expected: below 1.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench is run by people, and may fail"
)]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Layer, Service, service_fn};
use towline_benches::compare;
use towline_http::server::TraceLayer;
use towline_otlp::{Batch, ExportError, ExportErrorKind, Exporter, Receipt};
use towline_sampler::{Control, Rate, Sampler};

/// Requests in one measurement.
const REQUESTS: usize = 256;

/// An exporter, and a service whose spans it takes.
struct Traced {
    service: Box<dyn FnMut(Request<()>)>,
    exporter: Exporter,
    _provider: SdkTracerProvider,
}

fn traced<S>(transport: S) -> Traced
where
    S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let sampler = Sampler::new(Control::new(Rate::ALWAYS));
    let (processor, exporter) = Exporter::builder()
        .transport(transport)
        .buffer_bytes(4 << 20)
        .flush_interval(Duration::from_millis(50))
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler.clone())
        .with_span_processor(processor)
        .build();
    let mut service = TraceLayer::new(provider.tracer("bench"))
        .with_sampler(sampler)
        .layer(service_fn(answer));
    Traced {
        service: Box::new(move |request| call(&mut service, request)),
        exporter,
        _provider: provider,
    }
}

fn answer(request: Request<()>) -> Ready<Result<Response<String>, Infallible>> {
    black_box(&request);
    ready(Ok(Response::new(String::new())))
}

fn call<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Error = Infallible>,
{
    let mut future = pin!(service.call(request));
    let mut cx = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut cx) {
        Poll::Ready(response) => drop(black_box(response)),
        Poll::Pending => unreachable!("the service inside is ready at once"),
    }
}

fn requests() -> Vec<Request<()>> {
    let request = || {
        Request::get("/users/42?q=abc")
            .header("host", "users.example:8080")
            .header("user-agent", "curl/8.5.0")
            .header("accept", "*/*")
            .body(())
            .unwrap()
    };
    (0..REQUESTS).map(|_| request()).collect()
}

fn main() {
    let present = || traced(service_fn(|_: Batch| ready(Ok(Receipt::accepted()))));
    let away: [(&str, Traced); 2] = [
        (
            "hanging",
            traced(service_fn(|_: Batch| {
                std::future::pending::<Result<Receipt, ExportError>>()
            })),
        ),
        (
            "absent",
            traced(service_fn(|_: Batch| {
                let error = ExportError::new(ExportErrorKind::Unreachable, "connection refused");
                ready(Err::<Receipt, _>(error))
            })),
        ),
    ];
    for (name, mut away) in away {
        let mut present = present();
        // Fills the buffer.
        while away.exporter.stats().dropped.buffer_full == 0 {
            requests().into_iter().for_each(&mut away.service);
        }
        compare(
            "sampled request",
            REQUESTS,
            requests,
            (&format!("backend {name}"), |requests: Vec<_>| {
                requests.into_iter().for_each(&mut away.service)
            }),
            ("backend there", |requests: Vec<_>| {
                requests.into_iter().for_each(&mut present.service)
            }),
        );
    }
}
