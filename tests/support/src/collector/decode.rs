//! Bodies of requests, to OTLP messages.

use std::io::Read;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{Answer, Encoding, Protocol, Refusal};

/// A request's body in all its forms.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    pub(super) encoding: Encoding,
    pub(super) wire_bytes: usize,
    pub(super) message: Bytes,
    pub(super) request: ExportTraceServiceRequest,
}

/// A request that cannot be used: how it is answered, and why.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) answer: Box<Answer>,
    pub(super) why: String,
}

impl Unusable {
    pub(super) fn new(refusal: Refusal, why: impl Into<String>) -> Self {
        let why = why.into();
        let answer = Box::new(Answer::status(refusal).message(why.as_str()));
        Self { answer, why }
    }

    /// What only the status of HTTP says exactly.
    pub(super) fn with_statuses(grpc: i32, http: u16, why: impl Into<String>) -> Self {
        let why = why.into();
        let answer = Box::new(Answer::both(grpc, http, why.clone()));
        Self { answer, why }
    }

    pub(super) fn too_large(max_bytes: usize) -> Self {
        let why = format!("grpc: received message larger than max ({max_bytes} bytes)");
        Self::new(Refusal::TooLarge, why)
    }
}

pub(super) fn decode(
    protocol: Protocol,
    headers: &HeaderMap,
    body: &Bytes,
    max_bytes: usize,
) -> Result<Decoded, Unusable> {
    let (encoding, payload) = if protocol.is_grpc() {
        unframe(headers, body)?
    } else {
        (encoding(headers, CONTENT_ENCODING.as_str())?, body.clone())
    };
    let message = decompress(encoding, payload, max_bytes)?;
    let request = match protocol {
        Protocol::HttpJson => serde_json::from_slice(&message).map_err(|error| error.to_string()),
        Protocol::Grpc | Protocol::HttpProtobuf => {
            ExportTraceServiceRequest::decode(message.clone()).map_err(|error| error.to_string())
        }
    };
    let request = request.map_err(|error| Unusable::new(Refusal::InvalidArgument, error))?;
    Ok(Decoded {
        encoding,
        wire_bytes: body.len(),
        message,
        request,
    })
}

/// The one [length-prefixed message] of a unary call, and how it is compressed.
///
/// [length-prefixed message]: https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#requests
fn unframe(headers: &HeaderMap, body: &Bytes) -> Result<(Encoding, Bytes), Unusable> {
    let framed = body.split_first_chunk::<5>();
    let Some((&[compressed, a, b, c, d], payload)) = framed else {
        return Err(Unusable::new(Refusal::Internal, "the call has no message"));
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != payload.len() {
        return Err(Unusable::new(
            Refusal::Internal,
            "the call is not one whole message",
        ));
    }
    let encoding = match compressed {
        0 => Encoding::Identity,
        _ => encoding(headers, "grpc-encoding")?,
    };
    Ok((encoding, body.slice_ref(payload)))
}

fn encoding(headers: &HeaderMap, name: &str) -> Result<Encoding, Unusable> {
    match headers.get(name).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(Encoding::Identity),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(b"zstd") => Ok(Encoding::Zstd),
        Some(other) => Err(Unusable::with_statuses(
            UNIMPLEMENTED,
            415,
            format!(
                "{name} {:?} is not known: expected gzip, zstd or identity",
                String::from_utf8_lossy(other)
            ),
        )),
    }
}

fn decompress(encoding: Encoding, bytes: Bytes, max_bytes: usize) -> Result<Bytes, Unusable> {
    let message = match encoding {
        Encoding::Identity => Ok(bytes),
        Encoding::Gzip => read(flate2::read::MultiGzDecoder::new(&*bytes), max_bytes),
        Encoding::Zstd => zstd::Decoder::new(&*bytes).and_then(|decoder| read(decoder, max_bytes)),
    };
    let message =
        message.map_err(|error| Unusable::new(Refusal::InvalidArgument, error.to_string()))?;
    if message.len() > max_bytes {
        return Err(Unusable::too_large(max_bytes));
    }
    Ok(message)
}

/// Reads one byte more than is allowed, to tell.
fn read(reader: impl Read, max_bytes: usize) -> std::io::Result<Bytes> {
    let mut message = vec![];
    let limit = (max_bytes as u64).saturating_add(1);
    reader.take(limit).read_to_end(&mut message)?;
    Ok(message.into())
}

const UNIMPLEMENTED: i32 = 12;
