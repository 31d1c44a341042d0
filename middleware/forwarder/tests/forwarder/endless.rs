//! Bodies that never stand still and never end: the time for a request ends them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use tokio::time::timeout;
use tower::ServiceExt;
use towline_forwarder::Limits;

use crate::support::{EXPORT, LONG, builder, gzip};

/// Always has the next frame at hand.
struct Endless {
    next: fn() -> Frame<Bytes>,
    frames: Arc<AtomicUsize>,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok((self.next)())))
    }
}

fn call(path: &str, body: Endless) -> Request<Endless> {
    Request::post(path)
        .header("authorization", "Bearer of-alice")
        .header(
            "content-type",
            match path {
                EXPORT => "application/grpc",
                _ => "application/x-protobuf",
            },
        )
        .header("content-encoding", "gzip")
        .header("grpc-encoding", "gzip")
        .body(body)
        .unwrap()
}

/// On one thread, where a request that does not let go stops all others and every timer.
#[tokio::test]
async fn frames_without_end_are_ended_by_the_time_for_a_request() {
    let limits = Limits::new().timeout(Duration::from_millis(50));
    let forwarder = builder().limits(limits).build();
    let empty: fn() -> Frame<Bytes> = || Frame::data(Bytes::new());
    let trailers: fn() -> Frame<Bytes> = || Frame::trailers(HeaderMap::new());
    // A member of gzip that is empty is twenty bytes of which nothing becomes.
    let members: fn() -> Frame<Bytes> = || Frame::data(Bytes::from(gzip(b"")));
    for (path, next) in [
        ("/v1/traces", empty),
        (EXPORT, empty),
        ("/v1/traces", trailers),
        ("/v1/traces", members),
    ] {
        let frames = Arc::new(AtomicUsize::new(0));
        let body = Endless {
            next,
            frames: Arc::clone(&frames),
        };
        let request = call(path, body);
        let answer = async {
            match path {
                EXPORT => forwarder.grpc().oneshot(request).await,
                _ => forwarder.http().oneshot(request).await,
            }
        };
        // Another one has its turn meanwhile.
        let other = tokio::spawn(async move {
            tokio::task::yield_now().await;
            frames.load(Ordering::Relaxed)
        });
        let response = timeout(LONG, answer).await.unwrap().unwrap();
        match path {
            EXPORT => assert_eq!(response.headers()["grpc-status"], "4"),
            _ => assert_eq!(response.status(), 504),
        }
        assert!(other.await.unwrap() <= 100);
    }
    assert_eq!(forwarder.stats().requests.failed, 4);
    assert_eq!(forwarder.held_bytes(), 0);
}

/// What a few bytes are inflated to must not keep others waiting.
#[tokio::test]
async fn a_bomb_lets_others_have_their_turn() {
    use http_body_util::Full;
    let bomb = crate::support::gzip_bomb(32 << 20);
    #[cfg(feature = "zstd")]
    let zstd_bomb = zstd::encode_all(&vec![0; 32 << 20][..], 1).unwrap();
    for (encoding, bomb) in [
        ("gzip", bomb),
        #[cfg(feature = "zstd")]
        ("zstd", zstd_bomb),
    ] {
        // So that there is nothing to wait for but the reading.
        let limits = Limits::new().max_request_bytes(30 << 20);
        let forwarder = builder().limits(limits).build();
        let turns = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&turns);
        let others = tokio::spawn(async move {
            loop {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let request = Request::post("/v1/traces")
            .header("authorization", "Bearer of-alice")
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", encoding)
            .body(Full::new(Bytes::from(bomb)))
            .unwrap();
        let response = forwarder.http().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 413);
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns >= 6, "{encoding}: {turns}");
        others.abort();
    }
}
