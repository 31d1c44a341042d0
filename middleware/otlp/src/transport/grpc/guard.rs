use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::transport::client::{self, BoxError, MAX_RESPONSE_BYTES};
use crate::{ExportError, ExportErrorKind};

/// Stands between tonic and the connection: turns errors of the connection into ours, and keeps
/// from tonic the one header whose garbage makes it panic, `grpc-status-details-bin`.
#[derive(Clone, Debug)]
pub(super) struct Guard<C> {
    inner: C,
    peer: Arc<str>,
}

pin_project! {
    pub(super) struct GuardFuture<F> {
        #[pin]
        inner: F,
        peer: Arc<str>,
    }
}

pin_project! {
    pub(super) struct GuardBody<B> {
        #[pin]
        inner: B,
        peer: Arc<str>,
        begun: bool,
    }
}

// === impl Guard ===

impl<C> Guard<C> {
    pub(super) const fn new(inner: C, peer: Arc<str>) -> Self {
        Self { inner, peer }
    }
}

impl<C, R, B> Service<http::Request<R>> for Guard<C>
where
    C: Service<http::Request<R>, Response = http::Response<B>>,
    C::Error: Into<BoxError>,
{
    type Response = http::Response<GuardBody<B>>;
    type Error = ExportError;
    type Future = GuardFuture<C::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| client::unreachable(&self.peer, error))
    }

    fn call(&mut self, request: http::Request<R>) -> Self::Future {
        GuardFuture {
            inner: self.inner.call(request),
            peer: Arc::clone(&self.peer),
        }
    }
}

// === impl GuardFuture ===

impl<F, B, E> Future for GuardFuture<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<http::Response<GuardBody<B>>, ExportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response =
            ready!(this.inner.poll(cx)).map_err(|error| client::unreachable(&this.peer, error))?;
        sanitize(response.headers_mut());
        let peer = Arc::clone(this.peer);
        Poll::Ready(Ok(response.map(|inner| GuardBody {
            inner,
            peer,
            begun: false,
        })))
    }
}

// === impl GuardBody ===

impl<B> Body for GuardBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = ExportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx)).map(|frame| {
            let mut frame = frame.map_err(|error| client::unreachable(&this.peer, error))?;
            if let Some(trailers) = frame.trailers_mut() {
                sanitize(trailers);
            }
            if let Some(data) = frame.data_ref()
                && !std::mem::replace(this.begun, true)
            {
                check_length(data.chunk(), this.peer)?;
            }
            Ok(frame)
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Refuses an answer by the length that its first frame announces. tonic does so as well, with the
/// status that says that *our* message is too large.
fn check_length(start: &[u8], peer: &str) -> Result<(), ExportError> {
    let announced = start
        .split_at_checked(1)
        .and_then(|(_, rest)| rest.first_chunk());
    match announced.map(|len| u32::from_be_bytes(*len) as usize) {
        Some(len) if len > MAX_RESPONSE_BYTES => Err(ExportError::new(
            ExportErrorKind::InvalidResponse,
            format!("{peer} answers with {len} bytes: expected at most {MAX_RESPONSE_BYTES}"),
        )),
        _ => Ok(()),
    }
}

/// Removes details that are not base64.
fn sanitize(headers: &mut HeaderMap) {
    if headers
        .get(DETAILS)
        .is_some_and(|details| BASE64.decode(details.as_bytes()).is_err())
    {
        headers.remove(DETAILS);
    }
}

const DETAILS: &str = "grpc-status-details-bin";

/// Padded or not, as [gRPC](https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md)
/// demands of receivers.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_details_that_can_be_read_get_through() {
        for (details, stays) in [
            ("CA4", true),
            ("CA4=", true),
            ("", true),
            ("!", false),
            ("CA4 ", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(DETAILS, details.parse().unwrap());
            sanitize(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), stays, "{details:?}");
        }
    }
}
