//! What one sender does is no reason to refuse another.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use prost::Message;
use towline_forwarder::Limits;

use crate::support::{Pieces, Server, builder, request};

const PROTOBUF: &str = "application/x-protobuf";

/// Sends bodies that hang behind these bytes, as alice, until she has no room for more.
async fn fill(server: &Server, piece: &Bytes) {
    loop {
        let body = Pieces {
            pieces: vec![piece.clone()],
            hangs: true,
        };
        let before = server.stats().requests;
        let sent = server.http(PROTOBUF).body(body).unwrap();
        let held = server.forwarder.held_bytes();
        tokio::spawn(server.request(sent));
        let stats = server
            .until(|stats| {
                stats.requests.refused.busy > 0
                    || (stats.requests.in_flight > before.in_flight
                        && (piece.is_empty() || server.forwarder.held_bytes() > held))
            })
            .await;
        if stats.requests.refused.busy > 0 {
            return;
        }
    }
}

/// As bob.
async fn is_bob_served(server: &Server) -> bool {
    let body = Full::new(Bytes::from(request([1]).encode_to_vec()));
    let mut sent = server.http(PROTOBUF).body(body).unwrap();
    let token = HeaderValue::from_static("Bearer of-bob");
    sent.headers_mut().insert("authorization", token);
    server.send(sent).await.status == 200
}

fn patient() -> Limits {
    let long = Duration::from_secs(600);
    Limits::new().timeout(long).idle_timeout(long)
}

#[tokio::test]
async fn one_sender_cannot_take_all_places() {
    let server = Server::start(builder().limits(patient().max_requests(8))).await;
    fill(&server, &Bytes::new()).await;
    assert_eq!(server.stats().requests.in_flight, 6);
    assert!(is_bob_served(&server).await);
}

#[tokio::test]
async fn one_sender_cannot_take_all_memory() {
    let limits = patient().max_held_bytes(1 << 20);
    let server = Server::start(builder().limits(limits)).await;
    fill(&server, &Bytes::from(vec![0x0a; 50_000])).await;
    assert!(server.forwarder.held_bytes() <= 768 << 10);
    assert!(is_bob_served(&server).await);
}
