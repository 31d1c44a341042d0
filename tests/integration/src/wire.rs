use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::wait::within;

/// A server without HTTP: it reads one request and answers with bytes.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    received: JoinHandle<Vec<u8>>,
}

impl RawServer {
    /// Answers the first request on the first connection with these bytes, and closes it.
    pub async fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = tokio::spawn(async move {
            let (mut stream, _peer) = listener.accept().await.unwrap();
            let request = read_message(&mut stream).await;
            stream.write_all(&response).await.unwrap();
            stream.shutdown().await.unwrap();
            request
        });
        Self { address, received }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The request that it got, byte by byte.
    pub async fn received(self) -> String {
        String::from_utf8(within(self.received).await.unwrap()).unwrap()
    }
}

/// An address at which every connection is refused, as long as this lives.
#[derive(Debug)]
pub struct Nobody {
    // Bound, so that nobody else gets the port, and not listening.
    socket: TcpSocket,
}

impl Nobody {
    /// A port of the system's choice.
    #[must_use]
    pub fn there() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { socket }
    }

    /// Where nobody listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }
}

/// Sends bytes on a connection of their own, and reads what comes back until the other side closes.
pub async fn exchange_bytes(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    response
}

/// Reads a head, and a body if the head announces one by its length or in chunks.
async fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut message = Vec::new();
    while !message.ends_with(b"\r\n\r\n") {
        message.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let length: usize = rest.split_once('\r').unwrap().0.parse().unwrap();
        let body = message.len();
        message.resize(body + length, 0);
        stream.read_exact(&mut message[body..]).await.unwrap();
    } else if head.contains("transfer-encoding: chunked") {
        let body = message.len();
        while !(message[body..].ends_with(b"\r\n\r\n")
            && message[body..].windows(3).any(|w| w == b"0\r\n"))
        {
            message.push(stream.read_u8().await.unwrap());
        }
    }
    message
}
