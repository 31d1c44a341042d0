use std::fmt;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Buf;
use http::Response;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use towline_span::Outcome;

use crate::exchange::{Exchange, Record, Rest};
use crate::head::ResponseHead;

pin_project! {
    /// The body of every Towline layer over HTTP: the span's context is current while a frame is
    /// read, and the span ends with the last one.
    ///
    /// Frames, errors, [`size_hint`](Body::size_hint) and [`is_end_stream`](Body::is_end_stream) are
    /// those of the inner body. The span ends at the first of: the end of the body, trailers, an
    /// error, a panic, a drop.
    ///
    /// # Cancel safety
    ///
    /// A server may stop reading once the announced length is out, and drops the body then: that is
    /// [completed](Outcome::Completed). Any other drop before the end is
    /// [`Outcome::CancelledDuringBody`].
    #[must_use = "bodies do nothing unless polled"]
    pub struct ResponseBody<B, R: Record> {
        #[pin]
        inner: B,
        exchange: Option<Exchange<R>>,
        // `UNKNOWN` if no length was announced.
        unread: u64,
    }
}

impl<B, R: Record> ResponseBody<B, R> {
    /// A body without a span.
    pub const fn untraced(inner: B) -> Self {
        Self {
            inner,
            exchange: None,
            unread: UNKNOWN,
        }
    }

    /// The inner body.
    pub const fn get_ref(&self) -> &B {
        &self.inner
    }

    /// The inner body.
    pub const fn get_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// The inner body, unwrapped; the span ends as if the body were dropped.
    pub fn into_inner(self) -> B {
        self.inner
    }
}

impl<B: Body, R: Record> ResponseBody<B, R> {
    /// Lets the exchange go on in the body of `response`, as far as it does.
    pub(crate) fn wrap(mut response: Response<B>, mut exchange: Exchange<R>) -> Response<Self> {
        exchange.annotate(response.headers_mut());
        if !exchange.is_recording() {
            // Nothing to end, but the context stays current for what makes the body.
            return response.map(|inner| Self {
                inner,
                exchange: Some(exchange),
                unread: UNKNOWN,
            });
        }
        let rest = exchange.head(ResponseHead::from(&response));
        if rest == Rest::Nothing || response.body().is_end_stream() {
            exchange.complete(None);
            return response.map(Self::untraced);
        }
        let unread =
            content_length(response.headers()).or_else(|| response.body().size_hint().exact());
        let unread = unread.unwrap_or(UNKNOWN);
        if unread == 0 {
            exchange.or_else(Outcome::Completed);
        }
        response.map(|inner| Self {
            inner,
            exchange: Some(exchange),
            unread,
        })
    }
}

impl<B, R> Body for ResponseBody<B, R>
where
    B: Body,
    B::Error: 'static,
    R: Record,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.exchange.is_none() {
            return self.project().inner.poll_frame(cx);
        }
        self.poll_in_exchange(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B, R> ResponseBody<B, R>
where
    B: Body,
    B::Error: 'static,
    R: Record,
{
    fn poll_in_exchange(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Polled<B>>> {
        let mut this = self.project();
        let Some(exchange) = this.exchange else {
            return this.inner.poll_frame(cx);
        };
        let next = ready!(exchange.enter(|| this.inner.as_mut().poll_frame(cx)));
        let ended = match &next {
            None => {
                exchange.complete(None);
                true
            }
            Some(Err(error)) => {
                exchange.fail(error);
                true
            }
            Some(Ok(frame)) => match frame.data_ref() {
                None => {
                    exchange.complete(frame.trailers_ref());
                    true
                }
                Some(data) => {
                    let ended = this.inner.is_end_stream();
                    if ended {
                        exchange.complete(None);
                    } else if *this.unread != UNKNOWN {
                        *this.unread = this.unread.saturating_sub(data.remaining() as u64);
                        if *this.unread == 0 {
                            exchange.or_else(Outcome::Completed);
                        }
                    }
                    ended
                }
            },
        };
        if ended {
            *this.exchange = None;
        }
        Poll::Ready(next)
    }
}

impl<B: Default, R: Record> Default for ResponseBody<B, R> {
    fn default() -> Self {
        Self::untraced(B::default())
    }
}

impl<B: fmt::Debug, R: Record> fmt::Debug for ResponseBody<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("inner", &self.inner)
            .field("traced", &self.exchange.is_some())
            .finish()
    }
}

/// A frame of this body, or its error.
type Polled<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

/// No body is so long.
const UNKNOWN: u64 = u64::MAX;

/// The length that the head announces, if it does so once and in digits.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let digits = value.to_str().ok()?;
    // `parse` would take a sign as well.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
