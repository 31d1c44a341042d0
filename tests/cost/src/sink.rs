//! Where spans go: nowhere, but noted, so that a count is known to be of what it says.

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;
use tower::Service;
use towline_otlp::{Batch, ExportError, Receipt};

/// What has become of the spans of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// How many there were.
    pub spans: usize,
    /// How many attributes the last one had.
    pub attributes: usize,
}

/// A transport of the exporter that takes every batch and keeps the last one, to be looked at.
#[derive(Clone, Debug, Default)]
pub struct LastBatch(Arc<Mutex<(usize, Batch)>>);

/// A processor that looks at a span and lets it go.
#[derive(Clone, Debug, Default)]
pub struct Discarding(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    spans: AtomicUsize,
    attributes: AtomicUsize,
}

// === impl LastBatch ===

impl LastBatch {
    /// What has arrived.
    ///
    /// # Panics
    ///
    /// When it is no OTLP.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (spans, batch) = &*held;
        let request = ExportTraceServiceRequest::decode(batch.bytes().clone()).expect("OTLP");
        let mut scopes = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
        let last = scopes.next_back().and_then(|scope| scope.spans.last());
        Recorded {
            spans: *spans,
            attributes: last.map_or(0, |span| span.attributes.len()),
        }
    }
}

impl Service<Batch> for LastBatch {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Ready<Result<Receipt, ExportError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (held.0 + batch.spans(), batch);
        ready(Ok(Receipt::accepted()))
    }
}

// === impl Discarding ===

impl Discarding {
    /// What has ended.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        Recorded {
            spans: self.0.spans.load(Ordering::SeqCst),
            attributes: self.0.attributes.load(Ordering::SeqCst),
        }
    }
}

impl SpanProcessor for Discarding {
    fn on_start(&self, _span: &mut Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.spans.fetch_add(1, Ordering::SeqCst);
        let attributes = span.attributes.len();
        self.0.attributes.store(attributes, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
