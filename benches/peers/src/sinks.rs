//! Where spans end up: each of these counts them, and keeps them while somebody looks.

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fastrace::collector::{Reporter, SpanRecord};
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use prost::Message;
use tower::Service;
use towline_otlp::{Batch, ExportError, Receipt};

use crate::recorded::Recorded;

/// What has arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    spans: AtomicUsize,
    bytes: AtomicUsize,
    is_watched: AtomicBool,
    kept: Mutex<Vec<Recorded>>,
}

/// Lets every span go when it ends: what the SDK costs, and nothing after it.
#[derive(Clone, Debug)]
pub struct Discard(pub Arrivals);

/// Encodes batches as `opentelemetry-otlp` does, and throws the bytes away.
#[derive(Debug)]
pub struct Encode {
    arrivals: Arrivals,
    resource: ResourceAttributesWithSchema,
}

/// Takes batches that are encoded already, and throws them away.
#[derive(Clone, Debug)]
pub struct Take(pub Arrivals);

/// fastrace's way out.
#[derive(Debug)]
pub struct Records {
    arrivals: Arrivals,
    encodes: Arc<AtomicBool>,
}

struct Reports {
    records: Records,
    reporter: OpenTelemetryReporter,
}

/// [`Encode`] for the OpenTelemetry that fastrace has.
#[derive(Debug, Default)]
struct EncodeOlder {
    resource: opentelemetry_proto_0_32::transform::common::tonic::ResourceAttributesWithSchema,
}

// === impl Arrivals ===

impl Arrivals {
    /// How many spans have arrived.
    pub fn spans(&self) -> usize {
        self.0.spans.load(Ordering::SeqCst)
    }

    /// How many bytes they took, where they were encoded.
    pub fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::SeqCst)
    }

    /// From now on spans are kept to be looked at, or are not any more.
    pub fn watch(&self, is_watched: bool) {
        self.0.is_watched.store(is_watched, Ordering::SeqCst);
    }

    /// The spans that were kept.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, spans: usize, bytes: usize, look: impl FnOnce() -> Vec<Recorded>) {
        if self.0.is_watched.load(Ordering::Relaxed) {
            let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(look());
        }
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.spans.fetch_add(spans, Ordering::Relaxed);
    }

    fn add_encoded(&self, spans: usize, bytes: &[u8]) {
        black_box(bytes);
        self.add(spans, bytes.len(), || {
            let request = ExportTraceServiceRequest::decode(bytes).expect("a batch is well formed");
            let scopes = request
                .resource_spans
                .into_iter()
                .flat_map(|it| it.scope_spans);
            let spans = scopes.flat_map(|it| it.spans);
            spans.map(|span| Recorded::from(&span)).collect()
        });
    }
}

// === impl Discard ===

impl SpanProcessor for Discard {
    fn on_start(&self, _span: &mut Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.add(1, 0, || vec![Recorded::from(&span)]);
        drop(black_box(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

// === impl Encode ===

impl Encode {
    /// An exporter that says here what it has got.
    pub fn new(arrivals: Arrivals) -> Self {
        Self {
            arrivals,
            resource: ResourceAttributesWithSchema::default(),
        }
    }
}

impl SpanExporter for Encode {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let spans = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        self.arrivals.add_encoded(spans, &bytes);
        ready(Ok(()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

// === impl Take ===

impl Service<Batch> for Take {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Ready<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let spans = batch.spans();
        let bytes: Bytes = batch.into_bytes();
        self.0.add_encoded(spans, &bytes);
        ready(Ok(Receipt::accepted()))
    }
}

// === impl Records ===

impl Records {
    /// A reporter for fastrace; `encodes` says whether records become encoded OTLP or are dropped.
    pub fn reporter(arrivals: Arrivals, encodes: Arc<AtomicBool>) -> impl Reporter {
        let resource = opentelemetry_sdk_0_32::Resource::builder_empty().build();
        let scope = opentelemetry_0_32::InstrumentationScope::builder("fastrace").build();
        Reports {
            records: Self { arrivals, encodes },
            reporter: OpenTelemetryReporter::new(
                EncodeOlder::default(),
                Cow::Owned(resource),
                scope,
            ),
        }
    }
}

impl Reporter for Reports {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        let Records { arrivals, encodes } = &self.records;
        arrivals.add(spans.len(), 0, || {
            spans.iter().map(Recorded::from).collect()
        });
        if encodes.load(Ordering::SeqCst) {
            self.reporter.report(spans);
        }
    }
}

// === impl EncodeOlder ===

impl opentelemetry_sdk_0_32::trace::SpanExporter for EncodeOlder {
    fn export(
        &self,
        batch: Vec<opentelemetry_sdk_0_32::trace::SpanData>,
    ) -> impl Future<Output = opentelemetry_sdk_0_32::error::OTelSdkResult> + Send {
        use opentelemetry_proto_0_32::tonic::collector::trace::v1::ExportTraceServiceRequest;
        use opentelemetry_proto_0_32::transform::trace::tonic::group_spans_by_resource_and_scope;

        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        black_box(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        ready(Ok(()))
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk_0_32::Resource) {
        self.resource = resource.into();
    }
}
