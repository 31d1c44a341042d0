//! The paths that are counted.

use std::borrow::Cow;

use bytes::Bytes;
use http::Extensions;
use http_body_util::Full;
use opentelemetry::trace::{SpanKind, TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tower::{Layer, Service};
use towline::{Control, Propagator, Rate, Sampler, Spans, Towline};

use crate::exchange::{Bare, Later, Messages, exchange, finish};
use crate::request::{Caller, NoBody, Target, Template, request};
use crate::sink::{Discarding, LastBatch};
use crate::span::span;
use crate::subject::{Subject, exporter, facade};
use crate::work::{Work, work};

/// One way that a request, a context or a span can take.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What it is called in the table and on the command line.
    pub id: &'static str,
    /// How many attributes its span has, if it records one.
    pub attributes: Option<usize>,
    subject: fn() -> Subject,
}

/// All of them. The table has them by name.
///
/// Up to the last three they are the facade's, which records into its own exporter. Those are of layers that stand alone
/// on a tracer of the SDK, whose processor discards the spans.
pub const PATHS: &[Path] = &[
    Path::unrecorded("http-server-off", || off(Caller::Unknown)),
    Path::unrecorded("http-server-off-caller", || off(Caller::Sampled)),
    Path::unrecorded("http-server-unsampled-root", || {
        http_server(Rate::NEVER, Caller::Unknown)
    }),
    Path::unrecorded("http-server-unsampled-caller", || {
        http_server(Rate::ALWAYS, Caller::NotSampled)
    }),
    Path::recorded("http-server-sampled-caller", 13, || {
        http_server(Rate::NEVER, Caller::Sampled)
    }),
    Path::recorded("http-server-sampled-caller-tracestate", 13, || {
        http_server(Rate::NEVER, Caller::SampledWithState)
    }),
    Path::recorded("http-server-sampled-root", 13, || {
        http_server(Rate::ALWAYS, Caller::Unknown)
    }),
    Path::unrecorded("http-client-unsampled", || http_client(Caller::NotSampled)),
    Path::recorded("http-client-sampled", 7, || http_client(Caller::Sampled)),
    Path::recorded("grpc-server-sampled-caller", 7, grpc_server::<1>),
    Path::recorded(
        "grpc-server-sampled-caller-100-messages",
        7,
        grpc_server::<100>,
    ),
    Path::recorded("span-around-a-future", 2, span_around_a_future),
    Path::unrecorded("propagation-extract", extract),
    Path::unrecorded("propagation-inject", inject),
    Path::recorded("span-encoded", 13, encoded),
    Path::recorded("alone-http-server-sampled-caller", 13, alone_http_server),
    Path::recorded("alone-http-client-sampled", 7, alone_http_client),
    Path::recorded("alone-grpc-server-sampled-caller", 7, alone_grpc_server),
];

// === impl Path ===

impl Path {
    const fn recorded(id: &'static str, attributes: usize, subject: fn() -> Subject) -> Self {
        Self {
            id,
            attributes: Some(attributes),
            subject,
        }
    }

    const fn unrecorded(id: &'static str, subject: fn() -> Subject) -> Self {
        Self {
            id,
            attributes: None,
            subject,
        }
    }

    /// The path with this name.
    #[must_use]
    pub fn by_id(id: &str) -> Option<&'static Self> {
        PATHS.iter().find(|path| path.id == id)
    }

    /// Sets up what is counted.
    #[must_use]
    pub fn subject(&self) -> Subject {
        (self.subject)()
    }
}

// --- HTTP ---

type HttpAnswer = Full<Bytes>;

fn off(caller: Caller) -> Subject {
    let (tracing, sink) = facade(Rate::ALWAYS);
    tracing.control().set_enabled(false);
    http_server_of(tracing, sink, caller)
}

fn http_server(roots: Rate, caller: Caller) -> Subject {
    let (tracing, sink) = facade(roots);
    http_server_of(tracing, sink, caller)
}

fn http_server_of(tracing: Towline, sink: LastBatch, caller: Caller) -> Subject {
    let layer = tracing.http_server();
    let [bare, with] = http(Target::HttpServer, caller, layer);
    Subject::of_facade(tracing, sink, bare, with)
}

fn http_client(caller: Caller) -> Subject {
    let (tracing, sink) = facade(Rate::NEVER);
    let layer = tracing
        .http_client()
        .with_template(|request| template(request.extensions));
    let [bare, with] = http(Target::HttpClient, caller, layer);
    Subject::of_facade(tracing, sink, bare, with).called_from(caller)
}

fn template(extensions: &Extensions) -> Option<Cow<'_, str>> {
    let Template(template) = extensions.get()?;
    Some(Cow::Borrowed(*template))
}

fn http<L, S, D>(target: Target, caller: Caller, layer: L) -> [Box<dyn Work>; 2]
where
    L: Layer<Bare<HttpAnswer>, Service = S>,
    S: Service<
            http::Request<NoBody>,
            Response = http::Response<D>,
            Error = std::convert::Infallible,
        > + 'static,
    D: http_body::Body,
{
    let (mut bare, mut with) = (Bare::<HttpAnswer>::new(), layer.layer(Bare::new()));
    let make = move || request(target, caller);
    [
        work(make, move |request| exchange(&mut bare, request)),
        work(make, move |request| exchange(&mut with, request)),
    ]
}

// --- gRPC ---

fn grpc_server<const MESSAGES: usize>() -> Subject {
    let (tracing, sink) = facade(Rate::NEVER);
    let [bare, with] = grpc::<MESSAGES, _, _, _>(tracing.grpc_server());
    Subject::of_facade(tracing, sink, bare, with)
}

fn grpc<const MESSAGES: usize, L, S, D>(layer: L) -> [Box<dyn Work>; 2]
where
    L: Layer<Bare<Messages<MESSAGES>>, Service = S>,
    S: Service<
            http::Request<NoBody>,
            Response = http::Response<D>,
            Error = std::convert::Infallible,
        > + 'static,
    D: http_body::Body,
{
    let (mut bare, mut with) = (
        Bare::<Messages<MESSAGES>>::new(),
        layer.layer(Bare::<Messages<MESSAGES>>::new()),
    );
    let make = || request(Target::GrpcServer, Caller::Sampled);
    [
        work(make, move |request| exchange(&mut bare, request)),
        work(make, move |request| exchange(&mut with, request)),
    ]
}

// --- parts ---

fn span_around_a_future() -> Subject {
    let (tracing, sink) = facade(Rate::NEVER);
    let spans = tracing.spans("cache");
    let future = Later::<HttpAnswer>::new;
    let bare = work(future, |future| drop(finish(future)));
    let with = work(future, move |future| {
        let span = spans
            .span("cache/Get")
            .with_kind(SpanKind::Client)
            .with_attribute(KeyValue::new("cache.key", "users/42"))
            .with_attribute(KeyValue::new("cache.items", 1));
        drop(finish(span.try_run(future)));
    });
    Subject::of_facade(tracing, sink, bare, with).called_from(Caller::Sampled)
}

fn extract() -> Subject {
    let make = || {
        let request = request(Target::HttpServer, Caller::Sampled);
        request.into_parts().0.headers
    };
    let (propagator, base) = (Propagator::w3c(), Context::new());
    let with = work(make, move |headers| {
        let extraction = propagator.extract(&headers, &base);
        assert!(std::hint::black_box(&extraction).parent.is_some());
    });
    Subject::of_nothing(
        work(make, |headers| drop(std::hint::black_box(headers))),
        with,
    )
}

fn inject() -> Subject {
    let make = || {
        let request = request(Target::HttpClient, Caller::Unknown);
        let mut headers = request.into_parts().0.headers;
        headers.reserve(1);
        headers
    };
    let parent = Caller::Sampled.span_context().expect("it has one");
    let (propagator, cx) = (
        Propagator::w3c(),
        Context::new().with_remote_span_context(parent),
    );
    let with = work(make, move |mut headers| {
        propagator.inject(&cx, &mut headers);
        assert!(std::hint::black_box(&headers).contains_key("traceparent"));
    });
    Subject::of_nothing(
        work(make, |headers| drop(std::hint::black_box(headers))),
        with,
    )
}

fn encoded() -> Subject {
    use opentelemetry_sdk::trace::SpanProcessor;
    let sink = LastBatch::default();
    let (processor, exporter) = exporter(towline_otlp::Exporter::builder())
        .transport(sink.clone())
        .build()
        .expect("a transport is all it needs");
    let with = work(span, move |span| processor.on_end(span));
    Subject::of_exporter(exporter, sink, work(span, drop), with)
}

// --- layers alone ---

fn sdk() -> (SdkTracerProvider, SdkTracer, Sampler, Discarding) {
    let sampler = Sampler::new(Control::new(Rate::NEVER));
    let sink = Discarding::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler.clone())
        .with_span_processor(sink.clone())
        .build();
    let tracer = provider.tracer("alone");
    (provider, tracer, sampler, sink)
}

fn alone_http_server() -> Subject {
    let (provider, tracer, sampler, sink) = sdk();
    let layer = towline_http::server::TraceLayer::from_spans(spans(tracer, sampler)).with_axum();
    let [bare, with] = http(Target::HttpServer, Caller::Sampled, layer);
    Subject::of_sdk(provider, sink, bare, with)
}

fn alone_http_client() -> Subject {
    let (provider, tracer, sampler, sink) = sdk();
    let layer = towline_http::client::TraceLayer::from_spans(spans(tracer, sampler))
        .with_template(|request| template(request.extensions));
    let [bare, with] = http(Target::HttpClient, Caller::Sampled, layer);
    Subject::of_sdk(provider, sink, bare, with).called_from(Caller::Sampled)
}

fn alone_grpc_server() -> Subject {
    let (provider, tracer, sampler, sink) = sdk();
    let layer = towline_grpc::server::TraceLayer::from_spans(spans(tracer, sampler));
    let [bare, with] = grpc::<1, _, _, _>(layer);
    Subject::of_sdk(provider, sink, bare, with)
}

fn spans(tracer: SdkTracer, sampler: Sampler) -> Spans<SdkTracer> {
    Spans::new(tracer).with_sampler(sampler)
}
