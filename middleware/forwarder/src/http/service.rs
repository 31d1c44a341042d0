use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::respond::respond;
use crate::failure::{Failure, FailureKind};
use crate::intake::{Format, Incoming, Intake};
use crate::limits::{Compression, Held, Payload};
use crate::receive::BoxError;
use crate::{ResponseBody, ResponseFuture};

/// Receives spans by HTTP. From [`Forwarder::http`](crate::Forwarder::http).
///
/// It answers wherever it is mounted; clients look for it at `/v1/traces`.
///
/// - `POST` with `application/x-protobuf` or `application/json`.
/// - `content-encoding`: gzip, zstd (with the feature of that name), identity, or none.
/// - Answers, and the `google.rpc.Status` of errors, are in the encoding of the request, and in
///   protobuf where that is neither.
///
/// Pages of other origins: see the [module](crate::http).
#[derive(Clone)]
pub struct HttpReceiver {
    intake: Arc<Intake>,
}

// === impl HttpReceiver ===

impl HttpReceiver {
    pub(crate) const fn new(intake: Arc<Intake>) -> Self {
        Self { intake }
    }
}

impl<B> Service<Request<B>> for HttpReceiver
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
            let format = format(&parts);
            let incoming = head(&parts, format).map(|(format, compression)| Incoming {
                parts,
                body,
                format,
                timeout: None,
                framing_bytes: 0,
                sink: move |held: Held| Payload::new(compression, limit, held),
            });
            let result = intake.answer(incoming).await;
            respond(format.unwrap_or(Format::Protobuf), result)
        })
    }
}

impl fmt::Debug for HttpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReceiver").finish_non_exhaustive()
    }
}

/// Whether it is a request that is served, and how it is compressed.
fn head(parts: &Parts, format: Option<Format>) -> Result<(Format, Compression), Failure> {
    if parts.method != Method::POST {
        return Err(Failure::new(FailureKind::Method, "OTLP/HTTP is POST"));
    }
    let format = format.ok_or_else(|| {
        let message = "expected content-type application/x-protobuf or application/json";
        Failure::new(FailureKind::MediaType, message)
    })?;
    let mut names = parts.headers.get_all(CONTENT_ENCODING).iter();
    let name = names.next().map_or(&b""[..], |name| name.as_bytes());
    let compression = Compression::named(name)
        .filter(|_| names.next().is_none())
        .ok_or_else(|| Failure::new(FailureKind::Encoding, "the compression is not known here"))?;
    Ok((format, compression))
}

/// The encoding by the content type, whatever its parameters are.
fn format(parts: &Parts) -> Option<Format> {
    let value = parts.headers.get(CONTENT_TYPE)?;
    let name = value.as_bytes().split(|byte| *byte == b';').next()?;
    let name = name.trim_ascii();
    if name.eq_ignore_ascii_case(b"application/x-protobuf") {
        Some(Format::Protobuf)
    } else if name.eq_ignore_ascii_case(b"application/json") {
        Some(Format::Json)
    } else {
        None
    }
}
