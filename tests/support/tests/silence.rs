//! The collector among what the test observes. Alone in its process: whom `tracing` knows is global.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use towline_test_support::collector::Collector;
use towline_test_support::{LogCounter, LogLine};

/// A request over HTTP/2, whose every frame h2 tells `tracing` about, on both sides.
fn exchange(collector: &Collector) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(collector.address())
            .await
            .unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://collector/").body(Empty::<Bytes>::new());
        let response = client.send_request(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
    });
}

/// The same from afar: a connection over HTTP/2 as bytes, until the other side has read a frame.
fn knock(collector: &Collector) {
    let mut stream = TcpStream::connect(collector.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let settings = [0u8, 0, 0, 4, 0, 0, 0, 0, 0];
    let acknowledged = [0u8, 0, 0, 4, 1, 0, 0, 0, 0];
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    stream.write_all(&settings).unwrap();
    let mut read: Vec<u8> = vec![];
    while !read.windows(9).any(|frame| frame == acknowledged) {
        let mut piece = [0; 64];
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "closed after {read:?}");
        read.extend(piece.iter().take(length));
    }
}

#[test]
fn nothing_of_the_collector_is_heard_and_nothing_of_the_test_is_lost() {
    // The only one there is, which is when `tracing` asks the thread at hand whom it serves.
    let logs = LogCounter::new();
    tracing::subscriber::set_global_default(logs.clone()).unwrap();
    let collector = Collector::start();
    knock(&collector);
    assert_eq!((logs.total(), logs.spans()), (0, 0));

    // The collector's thread was the first in h2's reader; this one is heard there all the same.
    exchange(&collector);
    let reader = |line: &LogLine| line.target == "h2::codec::framed_read";
    assert!(logs.lines().iter().any(reader), "{:?}", logs.lines());
}

const DEADLINE: Duration = Duration::from_secs(20);
