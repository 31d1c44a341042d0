use bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::transport::response::receipt;
use crate::{ExportError, ExportErrorKind, Receipt};

/// Sends encoded requests as they are, reads answers by hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchCodec {
    request_bytes: usize,
}

impl BatchCodec {
    /// A codec for one request of that length.
    pub(super) const fn new(request_bytes: usize) -> Self {
        Self { request_bytes }
    }
}

impl Codec for BatchCodec {
    type Encode = Bytes;
    type Decode = Receipt;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BatchCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(request);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // Made to measure: grown bit by bit it would be copied over and over.
        let bytes = self.request_bytes + FRAME_HEADER_BYTES;
        BufferSettings::new(bytes, bytes)
    }
}

impl Decoder for BatchCodec {
    type Item = Receipt;
    type Error = Status;

    fn decode(&mut self, response: &mut DecodeBuf<'_>) -> Result<Option<Receipt>, Status> {
        let response = response.copy_to_bytes(response.remaining());
        receipt(&response).map(Some).map_err(|malformed| {
            let error = ExportError::new(
                ExportErrorKind::InvalidResponse,
                "the answer to a batch cannot be read",
            );
            Status::from_error(error.with_source(malformed).into())
        })
    }
}

/// Before each message: a flag and a length.
const FRAME_HEADER_BYTES: usize = 5;
