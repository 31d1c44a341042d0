use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Version};
use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::connection::Peer;
use super::decode::Decoded;
use crate::tally::{id_of, spans_of};

/// A request that a [`Collector`](super::Collector) has read to its end and decoded.
#[derive(Clone, Debug)]
pub struct Received {
    number: usize,
    head: Parts,
    protocol: Protocol,
    peer: Peer,
    decoded: Decoded,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with binary protobuf.
    HttpProtobuf,
    /// OTLP/HTTP with JSON.
    HttpJson,
}

/// How the body of a request was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
}

// === impl Received ===

impl Received {
    pub(super) fn new(
        number: usize,
        head: Parts,
        protocol: Protocol,
        peer: Peer,
        decoded: Decoded,
    ) -> Self {
        Self {
            number,
            head,
            protocol,
            peer,
            decoded,
        }
    }

    /// Its number, from 0, in the order in which requests were there as a whole.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// The protocol it came by.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The version of HTTP it came by.
    #[must_use]
    pub const fn http_version(&self) -> Version {
        self.head.version
    }

    /// The path it was sent to.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The host it was sent to: HTTP/2's `:authority`, HTTP/1's `Host`.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        let authority = self
            .head
            .uri
            .authority()
            .map(|authority| authority.as_str());
        authority.or_else(|| self.header("host"))
    }

    /// Every header; in gRPC, its metadata.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first value of a header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// How it was compressed.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.decoded.encoding
    }

    /// How many bytes of body came over the wire, gRPC's frame of 5 bytes included.
    #[must_use]
    pub const fn wire_bytes(&self) -> usize {
        self.decoded.wire_bytes
    }

    /// The encoded request, decompressed.
    #[must_use]
    pub const fn message(&self) -> &Bytes {
        &self.decoded.message
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &ExportTraceServiceRequest {
        &self.decoded.request
    }

    /// Its spans, in the order in which they stand there.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        spans_of(&self.decoded.request)
    }

    /// The ids of its spans; [`SpanId::INVALID`] where one is not eight bytes.
    pub fn span_ids(&self) -> impl Iterator<Item = SpanId> {
        self.spans().map(id_of)
    }

    /// The number of the connection it came by, from 0, in the order in which they were accepted.
    #[must_use]
    pub const fn connection(&self) -> usize {
        self.peer.connection
    }

    /// The certificate that the client has shown, DER. See
    /// [`client_ca`](super::CollectorBuilder::client_ca).
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.peer.certificate.as_deref()
    }
}

impl Protocol {
    pub(super) const fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc)
    }
}
