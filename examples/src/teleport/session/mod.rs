//! Sessions on a node: a small protocol of frames over TLS, in place of SSH, that has no headers for a trace context.
//!
//! A frame is a length (4 bytes, big-endian) and a message: the length of its name (1 byte), the name, a payload. Both
//! sides begin with their version. The client asks, and the server answers each request by `success` or `failure`.
//!
//! The context goes in an envelope around the payload of a request, if the server's version says that it knows
//! envelopes; otherwise the payload goes as it is. Spans are named as Teleport names its own over SSH, but never after
//! the command, which may be anything.

mod client;
mod server;

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

pub(crate) use self::client::{Client, Opening};
pub(crate) use self::server::{Executed, Host, Sessions};

/// A connection that carries messages.
struct Connection<S> {
    frames: Framed<S, LengthDelimitedCodec>,
}

struct Message {
    name: String,
    payload: Bytes,
}

/// The payload of `exec`: JSON as it happens, which is not to be taken for an envelope.
#[derive(Deserialize, Serialize)]
struct Exec {
    login: String,
    command: Vec<String>,
}

/// The version of those who know envelopes, which Teleport tells by how it begins.
const VERSION: &str = "SSH-2.0-Teleport example";

/// The version of those who do not.
const OLD_VERSION: &str = "SSH-2.0-Go";

/// More than any request here needs, with the largest context that an envelope may have.
const MAX_FRAME_BYTES: usize = 256 * 1024;

const CLUSTER_DETAILS: &str = "cluster-details";
const OPEN_SESSION: &str = "session";
const EXEC: &str = "exec";
const SUCCESS: &str = "success";
const FAILURE: &str = "failure";
const STDOUT: &str = "stdout";
const EXIT_STATUS: &str = "exit-status";

// === impl Connection ===

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Tells the other side one's version, and learns its.
    async fn open(stream: S, version: &'static str) -> io::Result<(Self, String)> {
        let frames = LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME_BYTES)
            .new_framed(stream);
        let mut connection = Self { frames };
        connection.send(version, b"").await?;
        let theirs = connection.expect().await?;
        Ok((connection, theirs.name))
    }

    async fn send(&mut self, name: &str, payload: &[u8]) -> io::Result<()> {
        let name_bytes = u8::try_from(name.len()).map_err(io::Error::other)?;
        let mut frame = BytesMut::with_capacity(1 + name.len() + payload.len());
        frame.put_u8(name_bytes);
        frame.put_slice(name.as_bytes());
        frame.put_slice(payload);
        self.frames.send(frame.freeze()).await
    }

    /// The next message; none if the other side has gone.
    async fn receive(&mut self) -> io::Result<Option<Message>> {
        let Some(frame) = self.frames.next().await.transpose()? else {
            return Ok(None);
        };
        let message = Message::parse(frame.freeze());
        message
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame that is no message"))
    }

    /// The next message, which there has to be.
    async fn expect(&mut self) -> io::Result<Message> {
        let message = self.receive().await?;
        message.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

// === impl Message ===

impl Message {
    fn parse(frame: Bytes) -> Option<Self> {
        let (len, rest) = frame.split_first()?;
        let (name, _) = rest.split_at_checked(usize::from(*len))?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        let payload = frame.slice(1 + usize::from(*len)..);
        Some(Self { name, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_name_and_the_rest() {
        let parse = |frame: &'static [u8]| Message::parse(Bytes::from_static(frame));
        let message = parse(b"\x04exec{}").unwrap();
        assert_eq!((&*message.name, &*message.payload), ("exec", &b"{}"[..]));
        let empty = parse(b"\x00").unwrap();
        assert_eq!((&*empty.name, &*empty.payload), ("", &b""[..]));
        for no_message in [&b""[..], b"\x01", b"\xff name", b"\x01\xff"] {
            assert!(parse(no_message).is_none(), "{no_message:?}");
        }
    }
}
