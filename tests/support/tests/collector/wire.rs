//! What is no answer.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline_test_support::collector::{Answer, Collector, Greeting, Reading};

use crate::client::{
    DEADLINE, accepted, causes, encoded, grpc, has_kind, post_grpc, post_protobuf, request,
};

/// A request of one span over HTTP/1.1, as bytes.
fn raw_request(length: Option<usize>) -> Vec<u8> {
    let body = encoded([1]);
    let length = length.unwrap_or(body.len());
    let mut request = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend(&body);
    request
}

/// What comes back until the connection ends, and how it ends.
async fn talk(collector: &Collector, request: &[u8]) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = TcpStream::connect(collector.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut read = vec![];
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut read));
    let end = end.await.expect("the connection ends");
    (read, end)
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_an_end() {
    let collector = Collector::builder().always(Answer::reset()).start();
    let (read, end) = talk(&collector, &raw_request(None)).await;
    assert_eq!(
        (read.len(), end.unwrap_err().kind()),
        (0, ErrorKind::ConnectionReset)
    );
    let error = post_grpc(&collector, encoded([1])).await.unwrap_err();
    assert!(
        has_kind(&*error, ErrorKind::ConnectionReset),
        "{}",
        causes(&*error)
    );

    collector.set_always(Answer::close());
    let (read, end) = talk(&collector, &raw_request(None)).await;
    assert_eq!((read.len(), end.unwrap()), (0, 0));
    assert_eq!(
        (collector.request_count(), collector.accepted_count()),
        (3, 0)
    );
}

#[tokio::test]
async fn a_reset_in_the_body_comes_after_the_head() {
    let collector = Collector::builder()
        .always(Answer::reset_mid_body())
        .start();
    let (read, end) = talk(&collector, &raw_request(None)).await;
    let read = String::from_utf8_lossy(&read).into_owned();
    assert!(read.starts_with("HTTP/1.1 200 OK\r\n"), "{read}");
    assert!(read.contains("content-length: 129\r\n"), "{read}");
    assert!(read.ends_with("cut"), "{read}");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(post_grpc(&collector, encoded([1])).await.is_err());
    assert_eq!(collector.accepted_count(), 0);
}

#[tokio::test]
async fn garbage_is_all_that_comes() {
    let garbage = Bytes::from_static(b"220 mail.example.com ESMTP\r\n");
    let collector = Collector::builder()
        .always(Answer::garbage(garbage.clone()))
        .start();
    let (read, end) = talk(&collector, &raw_request(None)).await;
    assert_eq!(read, garbage);
    assert_eq!(end.unwrap(), garbage.len());
    assert!(post_grpc(&collector, encoded([1])).await.is_err());
    assert_eq!(
        (collector.request_count(), collector.accepted_count()),
        (2, 0)
    );
}

#[tokio::test]
async fn a_stream_is_reset_without_its_connection() {
    let collector = Collector::builder()
        .sequence([Answer::reset_stream(7), Answer::ok()])
        .start();
    let mut client = grpc(&collector).await;
    let status = client.export(request([1])).await.unwrap_err();
    assert!(
        format!("{status:?}").contains("REFUSED_STREAM"),
        "{status:?}"
    );
    client.export(request([2])).await.unwrap();
    assert_eq!(collector.connections(), 1);
    assert_eq!(accepted(&collector), [(2, 1)]);

    collector.set_always(Answer::reset_stream(7));
    let (_, end) = talk(&collector, &raw_request(None)).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_goaway_ends_the_connection_with_its_code() {
    let collector = Collector::builder().always(Answer::go_away(11)).start();
    let error = post_grpc(&collector, encoded([1])).await.unwrap_err();
    // ENHANCE_YOUR_CALM, in the words of h2.
    let causes = causes(&*error);
    assert!(causes.contains("detected excessive load"), "{causes}");
    let (read, end) = talk(&collector, &raw_request(None)).await;
    assert_eq!((read.len(), end.unwrap()), (0, 0));
}

#[tokio::test]
async fn a_hang_lasts_until_the_collector_goes() {
    let collector = Collector::builder().always(Answer::hang()).start();
    let mut calls = tokio::task::JoinSet::new();
    let mut client = grpc(&collector).await;
    calls.spawn(async move { client.export(request([1])).await.is_err() });
    let mut stream = TcpStream::connect(collector.address()).await.unwrap();
    stream.write_all(&raw_request(None)).await.unwrap();
    calls.spawn(async move { stream.read_to_end(&mut vec![]).await.is_ok() });
    collector.wait_for_requests(2, DEADLINE).await;
    assert!(calls.try_join_next().is_none());
    assert_eq!(
        (collector.accepted_count(), collector.open_connections()),
        (0, 2)
    );
    drop(collector);
    let ended = tokio::time::timeout(DEADLINE, calls.join_all())
        .await
        .unwrap();
    assert_eq!(ended, [true, true]);
}

#[tokio::test]
async fn a_body_that_is_not_read_holds_the_client_up() {
    let collector = Collector::builder()
        .reading(|number| match number {
            0 => Reading::StopAfter { bytes: 100 },
            _ => Reading::Whole,
        })
        .receive_window_bytes(65_535)
        .start();
    // Far more than the windows, so that it is the client that waits.
    let mut large = raw_request(Some(32 << 20));
    large.resize(32 << 20, 0);
    let mut stream = TcpStream::connect(collector.address()).await.unwrap();
    let sending = tokio::spawn(async move { stream.write_all(&large).await });
    let started = |collector: &Collector| collector.started_requests() == 1;
    collector.wait_until(DEADLINE, started).await;
    // The next is read as a whole, and so is alone.
    post_protobuf(&collector, encoded([2])).await.unwrap();
    assert_eq!(
        (collector.request_count(), accepted(&collector)),
        (1, vec![(2, 1)])
    );
    assert!(!sending.is_finished());
    drop(collector);
    let sent = tokio::time::timeout(DEADLINE, sending)
        .await
        .unwrap()
        .unwrap();
    assert!(sent.is_err());
}

#[tokio::test]
async fn a_body_that_is_not_read_to_its_end_is_no_request() {
    let collector = Collector::builder()
        .reading(|number| match number {
            0 => Reading::StopAfter { bytes: 100 },
            1 => Reading::StopAfter { bytes: 1_000_000 },
            _ => Reading::Whole,
        })
        .start();
    // On one connection, so that the first is there as a whole before the others.
    let client = grpc(&collector).await;
    let mut stopped = client.clone();
    let stopped = tokio::spawn(async move { stopped.export(request(100..200)).await });
    let started = |collector: &Collector| collector.started_requests() == 1;
    collector.wait_until(DEADLINE, started).await;
    for id in [1, 2] {
        client.clone().export(request([id])).await.unwrap();
    }
    assert!(!stopped.is_finished());
    assert_eq!(accepted(&collector), [(1, 1), (2, 1)]);
    assert_eq!(
        (collector.request_count(), collector.started_requests()),
        (2, 3)
    );
    stopped.abort();
}

#[tokio::test]
async fn a_slow_reader_gets_there() {
    let collector = Collector::builder()
        .reading(|_| Reading::Slow {
            bytes_per_tick: 1 << 20,
            tick: Duration::from_millis(20),
        })
        .start();
    let start = std::time::Instant::now();
    post_protobuf(&collector, encoded(1..=1000)).await.unwrap();
    // A tick at least: there is no other trace of it.
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(collector.accepted_count(), 1000);
}

#[tokio::test]
async fn connections_may_meet_silence_or_a_reset() {
    let collector = Collector::builder()
        .on_connect(|number| match number {
            0 => Greeting::Hang,
            1 => Greeting::Reset,
            _ => Greeting::Serve,
        })
        .start();
    let mut hanging = TcpStream::connect(collector.address()).await.unwrap();
    hanging.write_all(&raw_request(None)).await.unwrap();
    collector
        .wait_until(DEADLINE, |collector| collector.connections() == 1)
        .await;
    // It may be gone before the client knows that it is there.
    let error = async {
        let mut reset = TcpStream::connect(collector.address()).await?;
        reset.read(&mut [0]).await
    };
    let error = error.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(
        post_protobuf(&collector, encoded([2]))
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(accepted(&collector), [(2, 1)]);
    assert_eq!(collector.connections(), 3);
    // Stopped, even that one is let go.
    collector.stop();
    assert_eq!(collector.open_connections(), 0);
    assert!(
        tokio::time::timeout(DEADLINE, hanging.read(&mut [0]))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn http2_goes_on_beside_what_hangs() {
    let collector = Collector::builder()
        .answer(
            |request| match request.span_ids().next() == Some(1.into()) {
                true => Answer::hang(),
                false => Answer::ok(),
            },
        )
        .start();
    let client = grpc(&collector).await;
    let mut hanging = client.clone();
    let hanging = tokio::spawn(async move { hanging.export(request([1])).await });
    collector.wait_for_requests(1, DEADLINE).await;
    client.clone().export(request([2])).await.unwrap();
    assert_eq!(collector.connections(), 1);
    assert_eq!(collector.requests()[1].http_version(), Version::HTTP_2);
    hanging.abort();
}
