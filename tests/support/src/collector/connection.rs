//! One connection: hyper serves it until something is to be done that hyper does not do.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::{BufMut, Bytes, BytesMut};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;

use super::Shared;
use super::exchange::exchange;
use super::stream::{SharedStream, Stream};

/// Who is on the other side.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The number of the connection.
    pub(super) connection: usize,
    /// The certificate that it has shown.
    pub(super) certificate: Option<Bytes>,
}

/// What the exchanges of a connection have to tell its task.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waker: Option<Waker>,
    fate: Option<Fate>,
    answering: usize,
    is_over: bool,
}

/// What becomes of a connection.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Reset,
    Close,
    GoAway(u32),
    Raw(Bytes),
}

/// An answer that was decided and is not written yet.
#[derive(Debug)]
pub(super) struct Answering {
    connection: Arc<Connection>,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(peer: Peer) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { peer, state })
    }

    /// Serves until either side has had enough, or until `stopped`: then what was decided is still
    /// answered, and all else is not.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: Stream,
        shared: Arc<Shared>,
        stopped: impl Future<Output = ()>,
    ) {
        let stream = SharedStream::new(stream);
        let fate = {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            if let Some(bytes) = shared.config.receive_window_bytes {
                let mut http2 = builder.http2();
                http2.initial_stream_window_size(bytes);
                http2.initial_connection_window_size(bytes);
            }
            let connection = Arc::clone(&self);
            let service = service_fn(move |request| {
                exchange(Arc::clone(&shared), Arc::clone(&connection), request)
            });
            let http = builder.serve_connection(TokioIo::new(stream.clone()), service);
            let (mut http, mut stopped) = (pin!(http), pin!(stopped));
            let mut is_stopping = false;
            poll_fn(|cx| {
                self.state().waker = Some(cx.waker().clone());
                if !is_stopping && stopped.as_mut().poll(cx).is_ready() {
                    is_stopping = true;
                    http.as_mut().graceful_shutdown();
                }
                // Before hyper is polled: it writes in that poll what came before these.
                let fate = self.state().fate.take();
                let is_done = is_stopping && self.state().answering == 0;
                let is_over = http.as_mut().poll(cx).is_ready();
                match fate {
                    Some(fate) => Poll::Ready(fate),
                    None if is_over || (is_done && !stream.is_full()) => Poll::Ready(Fate::Close),
                    None => Poll::Pending,
                }
            })
            .await
        };
        // Exchanges on HTTP/2 are tasks, and may not have noticed.
        self.state().is_over = true;
        fate.meet(stream).await;
    }

    /// Has this happen in place of what hyper would do, once what it has to write is written.
    pub(super) fn meet(&self, fate: Fate) {
        let waker = {
            let mut state = self.state();
            state.fate.get_or_insert(fate);
            state.waker.clone()
        };
        waker.inspect(Waker::wake_by_ref);
    }

    /// Whether nothing can be answered any more.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }

    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.state().answering += 1;
        Answering {
            connection: Arc::clone(self),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Answering ===

impl Drop for Answering {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.connection.state();
            state.answering -= 1;
            state.waker.clone()
        };
        waker.inspect(Waker::wake_by_ref);
    }
}

// === impl Fate ===

impl Fate {
    /// Errors say that the other side was faster.
    async fn meet(self, mut stream: SharedStream) {
        match self {
            Self::Reset => stream.reset(),
            Self::Close => {
                let _ = stream.shutdown().await;
            }
            Self::GoAway(error_code) => {
                let _ = stream.write_all(&go_away(error_code)).await;
                let _ = stream.shutdown().await;
            }
            Self::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        }
    }
}

/// A [GOAWAY] frame: no stream was processed.
///
/// [GOAWAY]: https://www.rfc-editor.org/rfc/rfc9113.html#section-6.8
fn go_away(error_code: u32) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_slice(&[0, 0, 8]); // length
    frame.put_slice(&[7, 0]); // type, flags
    frame.put_u32(0); // of the connection
    frame.put_u32(0); // last stream
    frame.put_u32(error_code);
    frame.freeze()
}
