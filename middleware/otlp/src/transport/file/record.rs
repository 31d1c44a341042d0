use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::json;
use crate::{Batch, ExportError, ExportErrorKind, FileFormat};

/// A batch as it goes into files: records, each of which stands whole in one file.
#[derive(Debug)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// Where each record ends.
    ends: Vec<usize>,
}

// === impl Records ===

impl Records {
    pub(super) fn new(format: FileFormat, batch: &Batch) -> Result<Self, ExportError> {
        let mut records = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        match format {
            FileFormat::Json => records.json(batch)?,
            FileFormat::Teleport => records.teleport(batch)?,
            FileFormat::Proto => records.proto(batch)?,
        }
        Ok(records)
    }

    /// These, as they are.
    #[cfg(test)]
    pub(super) fn verbatim(records: &[&[u8]]) -> Self {
        let mut all = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        for record in records {
            all.bytes.extend_from_slice(record);
            all.ends.push(all.bytes.len());
        }
        all
    }

    /// In their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// The whole batch in a line.
    fn json(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let request = decode(batch)?;
        // JSON takes about three times the bytes.
        self.bytes.reserve(3 * batch.len_bytes());
        json::write_request(&mut self.bytes, &request).map_err(invalid)?;
        self.end_line();
        Ok(())
    }

    /// A line for each resource.
    fn teleport(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let request = decode(batch)?;
        self.bytes.reserve(3 * batch.len_bytes());
        for spans in &request.resource_spans {
            json::write_resource_spans(&mut self.bytes, spans).map_err(invalid)?;
            self.end_line();
        }
        Ok(())
    }

    /// The whole batch behind its length.
    fn proto(&mut self, batch: &Batch) -> Result<(), ExportError> {
        // Only as deep as its structure goes: the bytes are what a collector would get as well.
        Batch::parse(batch.bytes().clone()).map_err(invalid)?;
        let len = u32::try_from(batch.len_bytes()).map_err(|_| {
            let message = format!(
                "a batch of {} bytes cannot be written as protobuf: expected less than 4 GiB",
                batch.len_bytes()
            );
            ExportError::new(ExportErrorKind::TooLarge, message)
        })?;
        self.bytes.reserve(PREFIX_BYTES + batch.len_bytes());
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(batch.bytes());
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn end_line(&mut self) {
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }
}

/// Whether a record still goes into a file of `len` bytes. Into an empty one it always does.
pub(super) const fn has_room(
    format: FileFormat,
    record: &[u8],
    len: u64,
    limit_bytes: u64,
) -> bool {
    let added = record.len() as u64;
    match format {
        _ if len == 0 => true,
        FileFormat::Json | FileFormat::Proto => len.saturating_add(added) <= limit_bytes,
        // Teleport's rule: the newline does not count, but to reach the limit is too much already.
        FileFormat::Teleport => len.saturating_add(added.saturating_sub(1)) < limit_bytes,
    }
}

fn decode(batch: &Batch) -> Result<ExportTraceServiceRequest, ExportError> {
    ExportTraceServiceRequest::decode(batch.bytes().clone()).map_err(invalid)
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> ExportError {
    ExportError::new(
        ExportErrorKind::InvalidBatch,
        "the batch is not an OTLP trace request",
    )
    .with_source(error)
}

/// The length before a protobuf message: 32 bits, big-endian.
pub(super) const PREFIX_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Two resources, the second with a span.
    const BATCH: &[u8] = &[0x0a, 0, 0x0a, 4, 0x12, 2, 0x12, 0];

    #[test]
    fn a_batch_is_a_line_a_line_for_each_resource_or_a_message_behind_its_length() {
        let batch = Batch::parse(Bytes::from_static(BATCH)).unwrap();
        let records = |format| -> Vec<Vec<u8>> {
            let records = Records::new(format, &batch).unwrap();
            records.iter().map(<[u8]>::to_vec).collect()
        };
        assert_eq!(
            records(FileFormat::Json),
            [br#"{"resourceSpans":[{},{"scopeSpans":[{"spans":[{}]}]}]}
"#]
        );
        assert_eq!(
            records(FileFormat::Teleport),
            [
                b"{}\n".to_vec(),
                b"{\"scopeSpans\":[{\"spans\":[{}]}]}\n".to_vec()
            ]
        );
        assert_eq!(
            records(FileFormat::Proto),
            [[&[0, 0, 0, 8], BATCH].concat()]
        );
    }

    #[test]
    fn a_file_is_full_by_the_rule_of_its_format() {
        let record = [0; 10];
        for (format, len, limit, expected) in [
            (FileFormat::Json, 0, 0, true),
            (FileFormat::Json, 90, 100, true),
            (FileFormat::Json, 91, 100, false),
            (FileFormat::Json, u64::MAX, u64::MAX - 1, false),
            (FileFormat::Proto, 90, 100, true),
            (FileFormat::Proto, 91, 100, false),
            (FileFormat::Teleport, 0, 0, true),
            (FileFormat::Teleport, 90, 100, true),
            (FileFormat::Teleport, 91, 100, false),
            (FileFormat::Teleport, 1, 0, false),
        ] {
            let found = has_room(format, &record, len, limit);
            assert_eq!(found, expected, "{format:?}: {len} of {limit}");
        }
    }
}
