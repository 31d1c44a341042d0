use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SdkTracer;
use towline_http::{Begin, Record, client, server};
use towline_span::Spans;
use towline_test_support::TestTracing;

/// A side of the wire, and its layer.
pub(crate) trait Side: 'static {
    const KIND: SpanKind;

    type Record: Record + Send + Sync + 'static;
    type Layer: Begin<Record = Self::Record> + Clone;

    fn layer(spans: Spans<SdkTracer>) -> Self::Layer;

    /// The layer as most users have it: the provider's sampler is named to it.
    fn layer_of(tracing: &TestTracing) -> Self::Layer {
        Self::layer(tracing.spans())
    }
}

pub(crate) struct Server;

pub(crate) struct Client;

impl Side for Server {
    const KIND: SpanKind = SpanKind::Server;

    type Record = server::Recorder;
    type Layer = server::TraceLayer<SdkTracer>;

    fn layer(spans: Spans<SdkTracer>) -> Self::Layer {
        server::TraceLayer::from_spans(spans)
    }
}

impl Side for Client {
    const KIND: SpanKind = SpanKind::Client;

    type Record = client::Recorder;
    type Layer = client::TraceLayer<SdkTracer>;

    fn layer(spans: Spans<SdkTracer>) -> Self::Layer {
        client::TraceLayer::from_spans(spans)
    }
}
