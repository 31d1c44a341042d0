//! HTTP/1, byte for byte: what becomes of a connection whose request was refused unread.

use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use towline_forwarder::Limits;

use crate::support::{LONG, Server, builder, request};

/// Sends these bytes, and reads until the server has closed, or `until` was read.
async fn exchange(server: &Server, sent: &[u8], until: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut read = vec![];
    let reading = async {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&read).contains(until) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(len) => read.extend_from_slice(&buffer[..len]),
            }
        }
    };
    timeout(LONG, reading).await.unwrap();
    (stream, String::from_utf8(read).unwrap())
}

fn head(token: &str, more: &str) -> String {
    format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{more}\r\n"
    )
}

/// Whoever asks before sending is not asked for what nobody will read.
#[tokio::test]
async fn a_body_is_asked_for_when_it_will_be_read_and_not_before() {
    let limits = Limits::new().max_request_bytes(100);
    let server = Server::start(builder().limits(limits)).await;
    let expect = "expect: 100-continue\r\ncontent-length: ";
    for (token, len, answer) in [
        ("of-mallory", 2, "HTTP/1.1 401"),
        ("of-alice", 101, "HTTP/1.1 413"),
        ("of-alice", 2, "HTTP/1.1 100"),
    ] {
        let sent = head(token, &format!("{expect}{len}\r\n"));
        let (mut stream, read) = exchange(&server, sent.as_bytes(), "\r\n\r\n").await;
        assert!(read.starts_with(answer), "{token} {len}: {read}");
        if answer.ends_with("100") {
            stream.write_all(b"{}").await.unwrap();
            let mut read = [0; 12];
            timeout(LONG, stream.read_exact(&mut read))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(&read, b"HTTP/1.1 200");
        }
    }
}

/// What is behind the head of a refused request is its body, whatever it looks like.
#[tokio::test]
async fn the_body_of_a_refused_request_is_not_taken_for_another() {
    let server = Server::start(builder()).await;
    let hidden = head("of-alice", "content-length: 2\r\n") + "{}";
    let length = format!("content-length: {}\r\n", hidden.len());
    let chunked = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for (more, body) in [
        (length.as_str(), &hidden),
        ("transfer-encoding: chunked\r\n", &chunked),
    ] {
        // And one that is another, and ends the connection.
        let sent = head("of-mallory", more) + body;
        let last = head("of-mallory", "connection: close\r\ncontent-length: 0\r\n");
        let (_, read) = exchange(&server, (sent + &last).as_bytes(), "never").await;
        assert!(read.starts_with("HTTP/1.1 401"), "{read}");
        assert!(!read.contains("HTTP/1.1 200"), "{read}");
    }
    let requests = server.stats().requests;
    assert_eq!(requests.acknowledged, 0);
    assert_eq!(requests.refused.unauthenticated, requests.received);
}

#[tokio::test]
async fn a_connection_goes_on_after_what_was_read() {
    let server = Server::start(builder()).await;
    let json = serde_json::to_string(&request([1])).unwrap();
    let good = head("of-alice", &format!("content-length: {}\r\n", json.len())) + &json;
    let bad = head("of-alice", "content-length: 1\r\n") + "x";
    let last = head("of-alice", "connection: close\r\ncontent-length: 2\r\n") + "{}";
    let (_, read) = exchange(&server, (bad + &good + &last).as_bytes(), "never").await;
    let statuses: Vec<&str> = read.matches("HTTP/1.1 ").collect();
    assert_eq!(statuses.len(), 3, "{read}");
    assert!(read.starts_with("HTTP/1.1 400"), "{read}");
    assert_eq!(read.matches("HTTP/1.1 200").count(), 2, "{read}");
    assert_eq!(server.stats().requests.acknowledged, 2);
    server.assert_settled();
}

/// More or less than was announced.
#[tokio::test]
async fn a_length_that_lies_does_not_get_spans_through() {
    let limits = Limits::new().idle_timeout(Duration::from_millis(50));
    let server = Server::start(builder().limits(limits)).await;
    let content = request([1]).encode_to_vec();
    let protobuf = |len: usize| {
        let mut sent = head("of-alice", &format!("content-length: {len}\r\n"))
            .replace("application/json", "application/x-protobuf")
            .into_bytes();
        sent.extend_from_slice(&content);
        sent
    };
    // One byte is missing: it may come yet.
    let (_, read) = exchange(&server, &protobuf(content.len() + 1), "\r\n\r\n").await;
    assert!(read.starts_with("HTTP/1.1 504"), "{read}");
    // One byte too many: the message is cut short, and what is left is no request.
    let (_, read) = exchange(&server, &protobuf(content.len() - 1), "\r\n\r\n").await;
    assert!(read.starts_with("HTTP/1.1 400"), "{read}");
    server.until(|stats| stats.requests.in_flight == 0).await;
    assert_eq!(server.stats().spans.received, 0);
    server.assert_settled();
}

#[tokio::test]
async fn head_and_options_have_no_side_effect() {
    let server = Server::start(builder()).await;
    for method in ["HEAD", "OPTIONS", "TRACE", "DELETE"] {
        let sent = head("of-alice", "connection: close\r\ncontent-length: 2\r\n") + "{}";
        let sent = sent.replacen("POST", method, 1);
        let (_, read) = exchange(&server, sent.as_bytes(), "never").await;
        assert!(read.starts_with("HTTP/1.1 405"), "{method}: {read}");
        assert!(read.contains("allow: POST"), "{method}: {read}");
        let (_, body) = read.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.is_empty(), method == "HEAD", "{method}: {read}");
    }
    assert_eq!(server.stats().requests.refused.malformed, 4);
}
