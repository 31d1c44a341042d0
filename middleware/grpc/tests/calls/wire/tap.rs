//! A connection through which everything goes, and what went.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Listens, and hands every byte on.
#[derive(Clone)]
pub struct Tap {
    address: SocketAddr,
    requests: Bytes,
    responses: Bytes,
}

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A frame that belongs to a stream. Headers are compressed, so their length means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    Headers { end_headers: bool, end_stream: bool },
    Continuation { end_headers: bool },
    Data { bytes: usize, end_stream: bool },
    Reset { code: u32 },
}

impl Tap {
    /// On the way to this address.
    pub async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            responses: Arc::default(),
        };
        let (requests, responses) = (Arc::clone(&tap.requests), Arc::clone(&tap.responses));
        tokio::spawn(async move {
            let (near, _peer) = listener.accept().await.unwrap();
            let far = TcpStream::connect(upstream).await.unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(copy(near_read, far_write, requests));
            tokio::spawn(copy(far_read, near_write, responses));
        });
        tap
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the client has sent so far.
    pub fn requests(&self) -> Vec<Frame> {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let bytes = self.requests.lock().unwrap();
        frames(bytes.strip_prefix(PREFACE).unwrap())
    }

    /// What the server has sent so far.
    pub fn responses(&self) -> Vec<Frame> {
        frames(&self.responses.lock().unwrap())
    }
}

/// Copies and remembers, remembers first.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, log: Bytes) {
    let mut buffer = [0; 16 * 1024];
    // Either end may go away before the other.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        log.lock().unwrap().extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    drop(to.shutdown().await);
}

/// The frames of streams; what concerns the connection, and windows, comes when it comes.
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let (payload, rest) = rest.split_at(length);
        let (end_stream, end_headers) = (flags & 0x1 != 0, flags & 0x4 != 0);
        frames.extend(match kind {
            0x0 => Some(Frame::Data {
                bytes: length,
                end_stream,
            }),
            0x1 => Some(Frame::Headers {
                end_headers,
                end_stream,
            }),
            0x3 => Some(Frame::Reset {
                code: u32::from_be_bytes(payload.try_into().unwrap()),
            }),
            0x9 => Some(Frame::Continuation { end_headers }),
            _ => None,
        });
        bytes = rest;
    }
    frames
}
