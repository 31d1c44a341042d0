use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::failure::Observer;

/// A connection that says what it broke of in words for people.
pub(super) struct Secured<S> {
    inner: S,
    observer: Observer,
    /// The server has sent data, and with that has taken us for who we are.
    is_accepted: bool,
    /// What a write failed of, while the reason is looked for.
    failed_write: Option<io::Error>,
}

// === impl Secured ===

impl<S> Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) const fn new(inner: S, observer: Observer) -> Self {
        Self {
            inner,
            observer,
            is_accepted: false,
            failed_write: None,
        }
    }

    /// What a failed write is about. Whoever hangs up has said why before, and what was said can
    /// still be read; Tokio may have yet to hear that it is there.
    fn explain_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let error = match result {
            Poll::Ready(Err(error)) => error,
            result => return result,
        };
        let mut scratch = [0; 1024];
        for _ in 0..MAX_READS {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(Err(reason)) => {
                    return Poll::Ready(Err(self.explain(reason)));
                }
                // A connection that cannot be written to any more ends for the reader as well.
                Poll::Pending => {
                    self.failed_write = Some(error);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) => break,
            }
        }
        Poll::Ready(Err(self.explain(error)))
    }

    fn explain(&self, error: io::Error) -> io::Error {
        match self.is_accepted {
            true => self.observer.in_use(error),
            false => self.observer.before_use(error),
        }
    }
}

impl<S> AsyncRead for Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.is_accepted |= buf.filled().len() > before;
        result.map_err(|error| self.explain(error))
    }
}

impl<S> AsyncWrite for Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match self.failed_write.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
        };
        self.explain_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match self.failed_write.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        };
        self.explain_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match self.failed_write.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.inner).poll_flush(cx),
        };
        self.explain_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// How much of what was said before is looked at: 16 KiB, the longest record.
const MAX_READS: usize = 16;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio_rustls::rustls::{AlertDescription, Error};

    use super::*;

    /// A server that has hung up, with a reason that is there only when it is asked for twice.
    #[derive(Default)]
    struct HungUp {
        reads: usize,
    }

    impl AsyncRead for HungUp {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            if self.reads == 1 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let reason = Error::AlertReceived(AlertDescription::CertificateRequired);
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)))
        }
    }

    impl AsyncWrite for HungUp {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_write_that_fails_waits_for_the_reason() {
        let secured = || Secured::new(HungUp::default(), Observer::default());
        let (mut written, mut flushed) = (secured(), secured());
        for error in [
            poll_fn(|cx| Pin::new(&mut written).poll_write(cx, b"hello"))
                .await
                .unwrap_err(),
            poll_fn(|cx| Pin::new(&mut flushed).poll_flush(cx))
                .await
                .unwrap_err(),
        ] {
            assert_eq!(
                error.to_string(),
                "the server demands a client certificate, and none was given"
            );
        }
    }
}
