//! Answers of HTTP/1 that reach clients which are still sending.
//!
//! Who is refused is refused by the head of the request, and the rest is not read. Over HTTP/1 the connection is then
//! closed with bytes in it that nobody has read, which is a reset, and the client may never see the answer: an exporter
//! takes that for a broken network and sends everything again. So what comes after an answer is read and thrown away,
//! within bounds, before the answer goes out, which is what web servers call a lingering close ([RFC 9112, section
//! 9.6](https://www.rfc-editor.org/rfc/rfc9112.html#section-9.6)). HTTP/2 has a way to say it.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::header::EXPECT;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower::{BoxError, Service};

/// Reads what its service has left of a request.
#[derive(Clone, Debug)]
pub(crate) struct Linger<S> {
    inner: S,
}

/// The body of a request, on loan to a service.
#[derive(Debug)]
pub(crate) struct Lent<B>(Arc<Mutex<B>>);

// === impl Linger ===

impl<S> Linger<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Linger<S>
where
    S: Service<Request<Lent<B>>, Response: Send, Error: Send, Future: Send + 'static>,
    B: Body<Data: Send, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Who asks first has not sent anything.
        let lingers =
            request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT);
        let (parts, body) = request.into_parts();
        let body = Arc::new(Mutex::new(body));
        let lent = Request::from_parts(parts, Lent(Arc::clone(&body)));
        let answer = self.inner.call(lent);
        Box::pin(async move {
            let answer = answer.await;
            if lingers {
                // What takes longer is cut off: it was told often enough.
                let _ = timeout(LINGER_TIMEOUT, throw_away(Lent(body))).await;
            }
            answer
        })
    }
}

/// Reads to the end, or as much as anybody may be expected to have sent meanwhile.
async fn throw_away<B>(body: Lent<B>)
where
    B: Body + Unpin,
{
    let mut body = pin!(body);
    let mut left = LINGER_BYTES;
    // What cannot become whole is not worth reading.
    if body.size_hint().lower() > left {
        return;
    }
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Buf::remaining) as u64;
        match left.checked_sub(read) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

// === impl Lent ===

impl<B> Lent<B> {
    fn lock(&self) -> MutexGuard<'_, B> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body + Unpin> Body for Lent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

/// More than exporters send at a time: the limit of most receivers.
const LINGER_BYTES: u64 = 4 << 20;

const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
