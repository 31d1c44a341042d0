//! Spans of one shape, side by side.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SdkTracerProvider, Span, SpanData, SpanProcessor,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::Service;
use towline_otlp::{Batch, Exporter};

use super::Current;
use crate::path::PARENT_ID;
use crate::pipeline::{PEER_PORT, attributes, resource};

/// Puts spans of one shape side by side, and sends them on when there are enough.
#[derive(Debug)]
pub(super) struct Ledger {
    /// What stands before the first span of a batch.
    head: Vec<u8>,
    /// A span, and where in it the parts are that differ.
    span: Vec<u8>,
    trace_id: usize,
    span_id: usize,
    parent_id: usize,
    start: usize,
    end: usize,
    port: usize,
    ids: RandomIdGenerator,
    filling: Mutex<Vec<u8>>,
    batches: UnboundedSender<Batch>,
}

thread_local! {
    /// Memory for spans that are open, as ours has it.
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Spans of a batch.
const BATCH: usize = 512;

// === impl Ledger ===

impl Ledger {
    /// Batches go by the transport of `exporter`.
    pub(super) fn new(exporter: &Exporter) -> Self {
        let (batches, sent) = unbounded_channel();
        deliver(exporter, sent);
        let [start, end] = [1, 2].map(|seconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, 7));
        let template = template(start, end);
        let trace_id = template.span_context.trace_id().to_bytes();
        let span_id = template.span_context.span_id().to_bytes();
        let bytes = Batch::encode(&resource(), std::iter::repeat_n(&template, BATCH)).into_bytes();
        let at = |bytes: &[u8], part: &[u8]| {
            let found = bytes.windows(part.len()).position(|it| it == part);
            found.expect("a span has it")
        };
        let first = at(&bytes, &trace_id);
        let length = at(&bytes[first + 1..], &trace_id) + 1;
        // Every span is as long as the first, and the last one is at the end.
        let head = bytes.len() - BATCH * length;
        let span = bytes[head..head + length].to_vec();
        let nanos = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            nanos_of(since.expect("it is after it")).to_le_bytes()
        };
        Self {
            trace_id: at(&span, &trace_id),
            span_id: at(&span, &span_id),
            parent_id: at(&span, &PARENT_ID.to_be_bytes()),
            start: at(&span, &nanos(start)),
            end: at(&span, &nanos(end)),
            port: at(&span, &varint(PEER_PORT)),
            head: bytes[..head].to_vec(),
            span,
            ids: RandomIdGenerator::default(),
            filling: Mutex::default(),
            batches,
        }
    }

    /// A span under this caller that begins now.
    pub(super) fn begin(&self, caller: &SpanContext) -> Vec<u8> {
        let mut span = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        span.extend_from_slice(&self.span);
        put(&mut span, self.trace_id, caller.trace_id().to_bytes());
        put(&mut span, self.parent_id, caller.span_id().to_bytes());
        put(&mut span, self.span_id, self.ids.new_span_id().to_bytes());
        put(&mut span, self.start, now());
        span
    }

    /// The port that a request comes from.
    pub(super) fn put_port(&self, span: &mut [u8], port: u16) {
        put(span, self.port, varint(port));
    }

    /// It ends now.
    pub(super) fn end(&self, mut span: Vec<u8>) {
        put(&mut span, self.end, now());
        let full = self.head.len() + BATCH * self.span.len();
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if filling.is_empty() {
            filling.reserve_exact(full);
            filling.extend_from_slice(&self.head);
        }
        filling.extend_from_slice(&span);
        if filling.len() == full {
            let batch = Batch::from_encoded(std::mem::take(&mut *filling).into(), BATCH);
            // Once nobody takes them any more the program is about to end.
            let _ = self.batches.send(batch);
        }
        drop(filling);
        span.clear();
        POOL.with_borrow_mut(|pool| pool.push(span));
    }
}

/// Sends what comes, from a thread of its own, one at a time; what is left over when it ends is lost.
fn deliver(exporter: &Exporter, mut sent: UnboundedReceiver<Batch>) {
    let mut service = exporter.service();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime starts");
    std::thread::spawn(move || {
        runtime.block_on(async {
            while let Some(batch) = sent.recv().await {
                // The collector says how many have arrived.
                let _ = service.call(batch).await;
            }
        });
    });
}

/// A span with all that ours has of the same request.
fn template(start: SystemTime, end: SystemTime) -> SpanData {
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(ended.clone())
        .build();
    let tracer = provider.tracer("load");
    let builder = tracer
        .span_builder("GET /users/{id}")
        .with_kind(SpanKind::Server)
        .with_start_time(start)
        .with_attributes(attributes());
    let mut span =
        builder.start_with_context(&tracer, &Current::new(true).context(&HeaderMap::new()));
    span.end_with_timestamp(end);
    let mut ended = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    ended.take().expect("it has ended")
}

/// The last span that has ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Option<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn put<const N: usize>(span: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = span.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

/// As a number is written down if it takes three bytes.
fn varint(port: u16) -> [u8; 3] {
    assert!(port >> 14 > 0, "a port that the system chooses is higher");
    [
        port as u8 | 0x80,
        (port >> 7) as u8 | 0x80,
        (port >> 14) as u8,
    ]
}

fn now() -> [u8; 8] {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    nanos_of(since.unwrap_or_default()).to_le_bytes()
}

fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
