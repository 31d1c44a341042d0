use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::deadline;
use super::frame::{Frame, HEAD_BYTES};
use super::respond::respond;
use crate::failure::{Failure, FailureKind};
use crate::intake::{Format, Incoming, Intake};
use crate::limits::{Compression, Held};
use crate::receive::BoxError;
use crate::{ResponseBody, ResponseFuture};

/// Receives spans by gRPC. From [`Forwarder::grpc`](crate::Forwarder::grpc).
///
/// It serves `/opentelemetry.proto.collector.trace.v1.TraceService/Export`, and RFD 65's
/// `/proto.AuthService/ExportSpan`, which has the same bytes; any other method is UNIMPLEMENTED.
///
/// - Messages are plain or compressed as `grpc-encoding` says: gzip, zstd (with the feature of that
///   name), identity.
/// - There is exactly one message in a call.
/// - `grpc-timeout` is heeded: when the caller waits no more, nobody tries any more.
/// - Errors are trailers-only, with a `google.rpc.Status` in `grpc-status-details-bin`.
#[derive(Clone)]
pub struct GrpcReceiver {
    intake: Arc<Intake>,
}

// === impl GrpcReceiver ===

impl GrpcReceiver {
    pub(crate) const fn new(intake: Arc<Intake>) -> Self {
        Self { intake }
    }
}

impl<B> Service<Request<B>> for GrpcReceiver
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let intake = Arc::clone(&self.intake);
        ResponseFuture::new(async move {
            let (parts, body) = request.into_parts();
            let limit = intake.limits.max_request_bytes;
            let incoming = head(&intake, &parts).map(|compression| Incoming {
                timeout: deadline::timeout(&parts.headers),
                parts,
                body,
                format: Format::Protobuf,
                framing_bytes: HEAD_BYTES,
                sink: move |held: Held| Ok(Frame::new(compression, limit, held)),
            });
            respond(intake.answer(incoming).await)
        })
    }
}

#[cfg(feature = "tonic")]
impl tonic::server::NamedService for GrpcReceiver {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl fmt::Debug for GrpcReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcReceiver").finish_non_exhaustive()
    }
}

/// Whether it is a call that is served, and how its message is compressed.
fn head(intake: &Intake, parts: &Parts) -> Result<Compression, Failure> {
    if !is_grpc(&parts.headers) {
        return Err(Failure::new(
            FailureKind::MediaType,
            "expected application/grpc",
        ));
    }
    if parts.method != Method::POST {
        return Err(Failure::new(FailureKind::Method, "gRPC is POST"));
    }
    if !intake.methods.iter().any(|path| path == parts.uri.path()) {
        return Err(Failure::new(FailureKind::UnknownMethod, "no such method"));
    }
    let mut names = parts.headers.get_all("grpc-encoding").iter();
    let name = names.next().map_or(&b""[..], |name| name.as_bytes());
    Compression::named(name)
        .filter(|_| names.next().is_none())
        .ok_or_else(|| Failure::new(FailureKind::Encoding, "the compression is not known here"))
}

/// `application/grpc`, alone or as the one of protobuf; gRPC-Web and JSON are others.
fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let name = value.as_bytes().split(|byte| *byte == b';').next();
    let name = name.unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"application/grpc")
        || name.eq_ignore_ascii_case(b"application/grpc+proto")
}
