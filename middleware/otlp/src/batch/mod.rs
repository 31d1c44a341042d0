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
mod tests {
    use super::*;
    use crate::wire::put_varint;

    #[test]
    fn counts_the_spans_of_every_resource_and_scope() {
        let request = [
            0x0a, 10, 0x0a, 0, 0x12, 6, 0x0a, 0, 0x12, 0, 0x12,
            0, // resource, scope, two spans
            0x0a, 4, 0x12, 2, 0x12, 0, // one span
            0x0a, 0, // nothing
            0x12, 1, 0xff, // a field of a later version
        ];
        assert_eq!(Batch::parse(request.to_vec()).unwrap().spans(), 3);
    }

    #[test]
    fn an_empty_request_is_a_batch_without_spans() {
        let batch = Batch::parse(Bytes::new()).unwrap();
        assert!(batch.is_empty());
        assert_eq!(batch, Batch::default());
    }

    #[test]
    fn says_where_the_structure_breaks() {
        for (bytes, level) in [
            (&[0x0a, 9][..], "request"),
            (&[0x08, 1], "request"),
            (&[0x0a, 2, 0x12, 5], "resource_spans"),
            (&[0x0a, 4, 0x12, 2, 0x10, 1], "scope_spans"),
        ] {
            let error = Batch::parse(bytes.to_vec()).unwrap_err();
            assert!(error.to_string().contains(level), "{error}");
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn concatenation_keeps_order_and_count() {
        let batch =
            |bytes: &'static [u8], spans| Batch::from_encoded(Bytes::from_static(bytes), spans);
        assert_eq!(Batch::concat([]), Batch::default());
        assert_eq!(
            Batch::concat([batch(b"a", 1), batch(b"bc", 2), batch(b"d", 3)]),
            batch(b"abcd", 6)
        );
    }

    #[test]
    fn a_single_batch_is_not_copied() {
        let batch = Batch::from_encoded(Bytes::from(vec![1, 2, 3]), 1);
        assert_eq!(
            Batch::concat([batch.clone()]).bytes().as_ptr(),
            batch.bytes().as_ptr()
        );
    }

    /// A span with a name of so many bytes, in its scope and its resource, with fields of a later
    /// version at every level.
    fn request(sizes: &[&[&[u8]]]) -> Batch {
        let nest = |number: u8, content: &[u8]| {
            let mut out = vec![number << 3 | 2];
            put_varint(&mut out, content.len() as u64);
            out.extend_from_slice(content);
            out
        };
        let (mut request, mut spans) = (vec![], 0);
        for scopes in sizes {
            let mut resource = nest(1, b"");
            for (index, names) in scopes.iter().enumerate() {
                let mut scope = nest(1, &nest(1, &[b'a' + index as u8]));
                for size in *names {
                    let name = vec![b'x'; usize::from(*size)];
                    scope.extend(nest(2, &nest(5, &name)));
                    spans += 1;
                }
                // After the content, with a varint and with a group.
                scope.extend([0x50, 7]);
                resource.extend(nest(2, &scope));
            }
            resource.extend([0x53, 0x08, 1, 0x54]);
            request.extend(nest(1, &resource));
        }
        let batch = Batch::parse(request).unwrap();
        assert_eq!(batch.spans(), spans);
        batch
    }

    #[test]
    fn pieces_have_the_same_spans_with_their_envelopes() {
        let batch = request(&[&[&[10, 20], &[], &[5]], &[&[1, 1, 1, 200]], &[]]);
        for max_bytes in [0, 1, 40, 60, 100, 150, 250, 299, 10_000] {
            let pieces = batch.split(max_bytes);
            for piece in &pieces {
                assert_eq!(Batch::parse(piece.bytes().clone()).as_ref(), Ok(piece));
                assert!(
                    piece.len_bytes() <= max_bytes || piece.spans() == 1,
                    "{max_bytes}"
                );
                assert!(!piece.is_empty());
            }
            assert_eq!(
                flat(&pieces),
                flat(std::slice::from_ref(&batch)),
                "{max_bytes}"
            );
        }
        assert_eq!(batch.split(0).len(), 7);
    }

    /// Resource and scope envelope of each span, and the span.
    fn flat(batches: &[Batch]) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let mut flat = vec![];
        for batch in batches {
            for resource in messages(batch.bytes(), 1, "") {
                let resource = resource.unwrap();
                for scope in messages(resource, 2, "") {
                    let scope = scope.unwrap();
                    for span in messages(scope, 2, "") {
                        flat.push((rest(resource), rest(scope), span.unwrap().to_vec()));
                    }
                }
            }
        }
        flat
    }

    /// The fields of a message besides number 2, each as it reads.
    fn rest(message: &[u8]) -> Vec<u8> {
        Reader::new(message)
            .map(Result::unwrap)
            .filter(|field| field.number != 2)
            .flat_map(|field| format!("{field:?}").into_bytes())
            .collect()
    }

    #[test]
    fn what_fits_or_cannot_be_read_is_not_copied() {
        let whole = request(&[&[&[10, 20]]]);
        let broken = Batch::from_encoded(Bytes::from_static(&[0x0a, 9, 1, 1]), 2);
        for (batch, max_bytes) in [(&whole, whole.len_bytes()), (&broken, 1)] {
            let pieces = batch.split(max_bytes);
            assert_eq!(pieces, std::slice::from_ref(batch));
            assert_eq!(pieces[0].bytes().as_ptr(), batch.bytes().as_ptr());
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let batch = Batch::from_encoded(Bytes::from_static(b"secret"), 1);
        assert_eq!(format!("{batch:?}"), "Batch { spans: 1, len_bytes: 6 }");
    }
}
