use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper_util::client::legacy;

use crate::transport::client::BoxError;

/// What a client's connections last broke of.
///
/// hyper's clients run a connection beside the request, and what it breaks of does not always reach
/// the request: with TLS 1.3 a server complains about a missing certificate only when the client is
/// done, and the request hears that it was "canceled".
#[derive(Clone, Debug, Default)]
pub(in crate::transport) struct Trouble(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Option<Cause>,
    /// Connections that were made, ever.
    opened: usize,
}

/// An error of a client whose cause its connection knew.
#[derive(Debug)]
struct Broken {
    error: legacy::Error,
    cause: Cause,
}

/// What a connection broke of, on one line.
#[derive(Debug)]
pub(in crate::transport) struct Cause {
    text: String,
    #[cfg(feature = "tls")]
    is_tls: bool,
}

// === impl Trouble ===

impl Trouble {
    /// Keeps what a connection broke of.
    pub(super) fn note(&self, error: &io::Error) {
        let cause = Cause {
            text: chain(error),
            #[cfg(feature = "tls")]
            is_tls: crate::transport::tls::is_failure(error),
        };
        self.state().last = Some(cause);
    }

    /// A new connection has none.
    pub(super) fn opened_another(&self) {
        let mut state = self.state();
        state.last = None;
        state.opened = state.opened.wrapping_add(1);
    }

    /// How many connections were made, ever.
    #[cfg(feature = "http")]
    pub(in crate::transport) fn opened(&self) -> usize {
        self.state().opened
    }

    /// The error of a request, with the cause if it does not say so itself.
    pub(in crate::transport) fn explain(&self, error: legacy::Error) -> BoxError {
        let last = self.state().last.take();
        match last {
            Some(cause) if !chain(&error).contains(&cause.text) => {
                Box::new(Broken { error, cause })
            }
            _ => error.into(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its causes on one line; no cause twice, since an [`io::Error`] shows what it wraps.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| text.len() < MAX_TEXT_BYTES) {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(feature = "tls")]
impl Cause {
    /// Whether it was TLS.
    pub(in crate::transport) const fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {}

const MAX_TEXT_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper_util::client::legacy::Client;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::super::Stream;
    use super::*;

    /// A connection that breaks when it is read.
    struct Breaking;

    impl AsyncRead for Breaking {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::Error::other("the cable was cut")))
        }
    }

    impl AsyncWrite for Breaking {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_a_connection_broke_of_is_said_once() {
        for is_http2 in [cfg!(feature = "grpc"), !cfg!(feature = "http")] {
            let trouble = Trouble::default();
            let seen = trouble.clone();
            let connector = tower::service_fn(move |_: http::Uri| {
                let stream = TokioIo::new(Stream::new(Breaking, seen.clone()));
                std::future::ready(Ok::<_, io::Error>(stream))
            });
            let client = Client::builder(TokioExecutor::new())
                .http2_only(is_http2)
                .build(connector);
            let request = http::Request::post("http://host/").body(String::from("body"));
            let error = client.request(request.unwrap()).await.unwrap_err();
            let shown = chain(&*trouble.explain(error));
            assert_eq!(shown.matches("the cable was cut").count(), 1, "{shown}");
            assert!(shown.starts_with("client error"), "{shown}");
            // It is told once: the next error has causes of its own.
            assert!(trouble.state().last.is_none());
        }
    }
}
