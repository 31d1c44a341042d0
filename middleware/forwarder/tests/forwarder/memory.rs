//! How much memory a hostile request takes, by a counting allocator.

use allocation_counter::measure;
use bytes::Bytes;
use http_body_util::Full;
use tower::ServiceExt;
use towline_forwarder::Limits;

use crate::support::{EXPORT, builder, frame, gzip_bomb};

/// The most that is allocated at a time on this thread, where all of the reading is done.
fn peak_bytes(request: http::Request<Full<Bytes>>, max_request_bytes: usize) -> (u64, u16, i32) {
    let limits = Limits::new().max_request_bytes(max_request_bytes);
    let forwarder = builder().limits(limits).build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let is_grpc = request.uri().path() == EXPORT;
    let mut answer = None;
    let info = measure(|| {
        let response = runtime.block_on(async {
            match is_grpc {
                true => forwarder.grpc().oneshot(request).await,
                false => forwarder.http().oneshot(request).await,
            }
        });
        let response = response.unwrap();
        let code = response.headers().get("grpc-status");
        let code = code.map_or(0, |code| code.to_str().unwrap().parse().unwrap());
        answer = Some((response.status().as_u16(), code));
    });
    let (status, code) = answer.unwrap();
    (info.bytes_max, status, code)
}

fn post(path: &str, content_type: &str) -> http::request::Builder {
    http::Request::post(path)
        .header("authorization", "Bearer of-alice")
        .header("content-type", content_type)
        .header("content-encoding", "gzip")
        .header("grpc-encoding", "gzip")
}

#[test]
fn a_bomb_is_not_inflated_beyond_the_limit() {
    let bomb = Bytes::from(gzip_bomb(200 << 20));
    for limit in [64 << 10, 1 << 20, 8 << 20] {
        let request = post("/v1/traces", "application/x-protobuf");
        let request = request.body(Full::new(bomb.clone())).unwrap();
        let (peak, status, _) = peak_bytes(request, limit);
        // What there is of it when it grows, as long again, and the decoder.
        assert!(peak < 2 * limit as u64 + (256 << 10), "{peak} of {limit}");
        // 200 KB is too much by itself where the limit is less.
        assert_eq!(status, 413);

        let request = post(EXPORT, "application/grpc");
        let request = request.body(Full::new(frame(1, &bomb))).unwrap();
        let (peak, _, code) = peak_bytes(request, limit);
        assert!(peak < 2 * limit as u64 + (256 << 10), "{peak} of {limit}");
        assert_eq!(code, 8);
    }
}

#[test]
fn a_length_that_is_announced_is_not_allocated() {
    let mut body = vec![0];
    body.extend((60u32 << 20).to_be_bytes());
    body.extend([0; 100]);
    let request = post(EXPORT, "application/grpc")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let (peak, _, code) = peak_bytes(request, 64 << 20);
    assert_eq!(code, 13);
    assert!(peak < 100_000, "{peak}");
}

/// Structures for so many spans would take more than a hundred bytes for each of JSON's.
#[test]
fn small_json_does_not_become_large() {
    let list = "{},".repeat(80_000);
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{list}{{}}]}}]}}]}}"#);
    let len = json.len();
    assert!(len < 256 << 10);
    let request = http::Request::post("/v1/traces")
        .header("authorization", "Bearer of-alice")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(json)))
        .unwrap();
    let (peak, status, _) = peak_bytes(request, 64 << 20);
    assert_eq!(status, 200);
    // The stamp itself is some 40 bytes for each span, and 3 bytes were one.
    assert!(peak < 40 * len as u64, "{peak} of {len}");
}

/// Two bytes become more than a thousand.
fn amplified(resources: usize) -> http::Request<Full<Bytes>> {
    let long = towline_forwarder::Identity::new("x".repeat(1000)).unwrap();
    http::Request::post("/v1/traces")
        .header("content-type", "application/x-protobuf")
        .extension(long)
        .body(Full::new(Bytes::from([0x0a, 0].repeat(resources))))
        .unwrap()
}

#[tokio::test]
async fn what_a_request_becomes_with_its_stamps_is_held_before_it_is_made() {
    use towline_forwarder::Forwarder;
    let limits = Limits::new().max_request_bytes(16 << 20);
    for (held, status) in [(64 << 20, 200), (16 << 20, 413)] {
        let limits = limits.clone().max_held_bytes(held);
        let forwarder = Forwarder::builder().limits(limits).build();
        // Some 20 MiB.
        let response = forwarder.http().oneshot(amplified(20_000)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(forwarder.held_bytes(), 0);
    }
}

/// On another thread, whose allocations are not counted here.
#[test]
fn what_takes_long_is_not_done_where_others_wait() {
    use towline_forwarder::Forwarder;
    let forwarder = Forwarder::builder().build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (resources, is_here) in [(1_000, true), (40_000, false)] {
        let request = amplified(resources);
        let info = measure(|| {
            let response = runtime.block_on(forwarder.http().oneshot(request));
            assert_eq!(response.unwrap().status(), 200);
        });
        let made = resources as u64 * 1000;
        assert_eq!(info.bytes_max > made, is_here, "{info:?}");
    }
}
