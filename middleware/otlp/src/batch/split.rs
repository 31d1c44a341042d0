use bytes::Bytes;

use super::{Batch, MalformedBatch, RESOURCE_SPANS, SCOPE_SPANS, SPANS, messages};
use crate::wire::{NESTING_BYTES, Reader, put_len};

/// Makes batches of at most `max_bytes` of the spans of one, in their order; a span that is larger
/// alone gets a batch of its own.
pub(super) fn split(request: &[u8], max_bytes: usize) -> Result<Vec<Batch>, MalformedBatch> {
    let mut pieces = Pieces::new(max_bytes);
    for resource_spans in messages(request, RESOURCE_SPANS, "request") {
        let resource_spans = resource_spans?;
        pieces.resource_envelope = envelope(resource_spans, SCOPE_SPANS, "resource_spans")?;
        for scope_spans in messages(resource_spans, SCOPE_SPANS, "resource_spans") {
            let scope_spans = scope_spans?;
            pieces.scope_envelope = envelope(scope_spans, SPANS, "scope_spans")?;
            for span in messages(scope_spans, SPANS, "scope_spans") {
                pieces.add(span?);
            }
            pieces.end_scope();
        }
        pieces.end_resource();
    }
    pieces.end();
    Ok(pieces.done)
}

/// What has been cut off, and the piece that is being filled: each level is written once the one
/// below it is known.
struct Pieces {
    max_bytes: usize,
    done: Vec<Batch>,
    /// What a resource and a scope hold besides their content.
    resource_envelope: Vec<u8>,
    scope_envelope: Vec<u8>,
    request: Vec<u8>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    spans: usize,
}

// === impl Pieces ===

impl Pieces {
    const fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            done: Vec::new(),
            resource_envelope: Vec::new(),
            scope_envelope: Vec::new(),
            request: Vec::new(),
            resource: Vec::new(),
            scope: Vec::new(),
            spans: 0,
        }
    }

    fn add(&mut self, span: &[u8]) {
        if self.spans > 0 && self.bytes_with(span) > self.max_bytes {
            self.end();
        }
        put_len(&mut self.scope, SPANS, span.len());
        self.scope.extend_from_slice(span);
        self.spans += 1;
    }

    /// At least the size of the piece with one more span.
    fn bytes_with(&self, span: &[u8]) -> usize {
        let content = [
            self.request.len(),
            self.resource_envelope.len(),
            self.resource.len(),
            self.scope_envelope.len(),
            self.scope.len(),
            span.len(),
        ];
        content.iter().sum::<usize>() + 3 * NESTING_BYTES
    }

    /// Writes the scope, if it has spans.
    fn end_scope(&mut self) {
        close(
            &mut self.scope,
            &self.scope_envelope,
            &mut self.resource,
            SCOPE_SPANS,
        );
    }

    /// Writes the resource, if it has scopes.
    fn end_resource(&mut self) {
        close(
            &mut self.resource,
            &self.resource_envelope,
            &mut self.request,
            RESOURCE_SPANS,
        );
    }

    fn end(&mut self) {
        self.end_scope();
        self.end_resource();
        let spans = std::mem::take(&mut self.spans);
        if spans > 0 {
            let bytes = Bytes::from(std::mem::take(&mut self.request));
            self.done.push(Batch { bytes, spans });
        }
    }
}

/// Moves `content` into `out`, with its envelope before it, as the field `number`.
fn close(content: &mut Vec<u8>, envelope: &[u8], out: &mut Vec<u8>, number: u32) {
    if !content.is_empty() {
        put_len(out, number, envelope.len() + content.len());
        out.extend_from_slice(envelope);
        out.append(content);
    }
}

/// Every field but the content, as it stands on the wire.
fn envelope(message: &[u8], content: u32, level: &'static str) -> Result<Vec<u8>, MalformedBatch> {
    let mut envelope = Vec::new();
    let mut reader = Reader::new(message);
    loop {
        let before = reader.rest();
        let Some(field) = reader.next() else {
            return Ok(envelope);
        };
        let field = field.map_err(|source| MalformedBatch { level, source })?;
        if field.number != content {
            let (bytes, _) = before.split_at(before.len() - reader.rest().len());
            envelope.extend_from_slice(bytes);
        }
    }
}
