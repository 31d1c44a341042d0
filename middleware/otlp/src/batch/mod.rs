mod split;

use std::error::Error;
use std::fmt;

use bytes::{Bytes, BytesMut};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use crate::wire::{Malformed, Payload, Reader};

/// Spans ready to ship: one encoded [`ExportTraceServiceRequest`] and how many spans are in it.
///
/// It is the currency of this crate: everything that ships spans is a `tower::Service<Batch>`,
/// everything that changes how they are shipped is a layer around one. A clone shares the bytes.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use towline_otlp::Batch;
///
/// // resource_spans { scope_spans { spans {} } }, twice: requests concatenate.
/// let one = Batch::parse(Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0]))?;
/// let two = Batch::concat([one.clone(), one]);
/// assert_eq!(two.spans(), 2);
/// assert_eq!(two.len_bytes(), 12);
/// # Ok::<(), towline_otlp::MalformedBatch>(())
/// ```
///
/// [`ExportTraceServiceRequest`]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/opentelemetry/proto/collector/trace/v1/trace_service.proto
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
    spans: usize,
}

/// The bytes given to [`Batch::parse`] are not an OTLP trace request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedBatch {
    level: &'static str,
    source: Malformed,
}

// === impl Batch ===

impl Batch {
    /// Takes an encoded `ExportTraceServiceRequest` and counts its spans.
    ///
    /// The walk goes as deep as the keys of the spans; what is inside a span is not looked at. An
    /// empty request is valid and holds no spans.
    ///
    /// # Errors
    ///
    /// [`MalformedBatch`] when the bytes do not have the structure of a request.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, MalformedBatch> {
        let bytes = bytes.into();
        let spans = count_spans(&bytes)?;
        Ok(Self { bytes, spans })
    }

    /// Takes an encoded `ExportTraceServiceRequest` whose spans were counted before.
    ///
    /// Nothing is checked: a wrong `spans` makes the [`Stats`](crate::Stats) wrong, wrong `bytes`
    /// are refused by the backend. For bytes that come from elsewhere use [`parse`](Self::parse).
    #[must_use]
    pub const fn from_encoded(bytes: Bytes, spans: usize) -> Self {
        Self { bytes, spans }
    }

    /// Encodes spans of the SDK, all of one resource.
    ///
    /// Each instrumentation scope is written once, in the order of its first span. An
    /// [`Exporter`](crate::Exporter) encodes spans by itself as they end; this is for spans that
    /// come by another way, such as an exporter in a test.
    ///
    /// # Examples
    ///
    /// ```
    /// use opentelemetry::trace::{Tracer, TracerProvider};
    /// use opentelemetry_sdk::Resource;
    /// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    /// use towline_otlp::Batch;
    ///
    /// let memory = InMemorySpanExporter::default();
    /// let provider = SdkTracerProvider::builder().with_simple_exporter(memory.clone()).build();
    /// provider.tracer("docs").in_span("one", |_| {});
    ///
    /// let resource = Resource::builder().with_service_name("docs").build();
    /// let batch = Batch::encode(&resource, &memory.get_finished_spans()?);
    /// assert_eq!(batch.spans(), 1);
    /// assert_eq!(Batch::parse(batch.bytes().clone())?, batch);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn encode<'a>(resource: &Resource, spans: impl IntoIterator<Item = &'a SpanData>) -> Self {
        crate::encode::request(resource, spans)
    }

    /// Makes one batch of many, in their order.
    ///
    /// `resource_spans` is the request's only field and repeated, so appending the bytes of
    /// requests gives a request with the spans of all. A single batch is passed on without a copy.
    #[must_use]
    pub fn concat(batches: impl IntoIterator<Item = Self>) -> Self {
        let mut batches = batches.into_iter();
        let Some(first) = batches.next() else {
            return Self::default();
        };
        let Some(second) = batches.next() else {
            return first;
        };
        let rest: Vec<Self> = batches.collect();
        let all = || [&first, &second].into_iter().chain(&rest);
        let mut bytes = BytesMut::with_capacity(all().map(Self::len_bytes).sum());
        for batch in all() {
            bytes.extend_from_slice(&batch.bytes);
        }
        Self {
            bytes: bytes.freeze(),
            spans: all().map(Self::spans).sum(),
        }
    }

    /// Makes batches of at most `max_bytes` each of one, with the same spans in the same order.
    ///
    /// Resources and scopes are repeated where spans of one are in several batches. A single span
    /// that is larger with them than `max_bytes` gets a batch of its own, so check
    /// [`len_bytes`](Self::len_bytes). What is no larger, and bytes that are no request (see
    /// [`from_encoded`](Self::from_encoded)), comes back as it is, without a copy. Otherwise every
    /// span is copied once.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use towline_otlp::Batch;
    ///
    /// // resource_spans { scope_spans { spans {}, spans {} } }
    /// let two = Batch::parse(Bytes::from_static(&[0x0a, 6, 0x12, 4, 0x12, 0, 0x12, 0]))?;
    /// let pieces = two.split(7);
    /// assert_eq!(pieces.len(), 2);
    /// assert!(pieces.iter().all(|piece| piece.spans() == 1 && piece.len_bytes() == 6));
    /// # Ok::<(), towline_otlp::MalformedBatch>(())
    /// ```
    #[must_use]
    pub fn split(&self, max_bytes: usize) -> Vec<Self> {
        if self.spans <= 1 || self.len_bytes() <= max_bytes {
            return vec![self.clone()];
        }
        split::split(&self.bytes, max_bytes).unwrap_or_else(|_| vec![self.clone()])
    }

    /// The encoded request.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The encoded request, by value.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// How many spans are in it.
    #[must_use]
    pub const fn spans(&self) -> usize {
        self.spans
    }

    /// The length of the encoded request in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no spans in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spans == 0
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the content: spans may hold what does not belong in a log.
        f.debug_struct("Batch")
            .field("spans", &self.spans)
            .field("len_bytes", &self.len_bytes())
            .finish()
    }
}

// === impl MalformedBatch ===

impl fmt::Display for MalformedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not an OTLP trace request: its {} cannot be read",
            self.level
        )
    }
}

impl Error for MalformedBatch {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// `resource_spans` of a request, `scope_spans` of those, `spans` of these.
fn count_spans(request: &[u8]) -> Result<usize, MalformedBatch> {
    let mut spans = 0;
    for resource_spans in messages(request, RESOURCE_SPANS, "request") {
        for scope_spans in messages(resource_spans?, SCOPE_SPANS, "resource_spans") {
            for span in messages(scope_spans?, SPANS, "scope_spans") {
                span?;
                spans += 1;
            }
        }
    }
    Ok(spans)
}

/// The payloads of the repeated message `field` in `message`; other fields are stepped over.
fn messages<'a>(
    message: &'a [u8],
    field: u32,
    level: &'static str,
) -> impl Iterator<Item = Result<&'a [u8], MalformedBatch>> {
    Reader::new(message).filter_map(move |read| match read {
        Err(source) => Some(Err(MalformedBatch { level, source })),
        Ok(read) if read.number != field => None,
        Ok(read) => Some(match read.payload {
            Payload::Len(payload) => Ok(payload),
            // A decoder that knows the field refuses it in any other form.
            _ => Err(MalformedBatch {
                level,
                source: Malformed::Key,
            }),
        }),
    })
}

const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SPANS: u32 = 2;

#[cfg(test)]
mod tests;
