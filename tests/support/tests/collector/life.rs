//! Starts, stops, and what is accepted around them.

use std::time::Duration;

use http::Version;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline_test_support::Gate;
use towline_test_support::collector::{Answer, Collector};

use crate::client::{
    DEADLINE, STOP_TIME, accepted, encoded, grpc, post_protobuf, post_request, request, send,
};

#[tokio::test]
async fn a_restart_keeps_the_port_and_what_is_recorded() {
    let collector = Collector::start();
    let address = collector.address();
    for round in 1..=5 {
        let mut client = grpc(&collector).await;
        client.export(request([round])).await.unwrap();
        post_protobuf(&collector, encoded([round])).await.unwrap();
        collector.stop();
        assert_eq!(collector.open_connections(), 0);
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
        assert!(client.export(request([9])).await.is_err());
        // Nobody gets the port meanwhile.
        let other = tokio::net::TcpSocket::new_v4().unwrap();
        assert!(other.bind(address).is_err());
        collector.restart();
        assert_eq!(collector.address(), address);
        assert_eq!(
            collector.request_count(),
            2 * usize::try_from(round).unwrap()
        );
    }
    assert_eq!(
        accepted(&collector),
        (1..=5).map(|id| (id, 2)).collect::<Vec<_>>()
    );
    assert_eq!(collector.connections(), 10);
    // Without a stop before, and twice.
    collector.restart();
    collector.stop();
    collector.stop();
    collector.restart();
    post_protobuf(&collector, encoded([6])).await.unwrap();
    assert_eq!(collector.accepted_count(), 6);
}

#[tokio::test]
async fn a_stopped_one_has_its_port_from_the_start() {
    let collector = Collector::builder().start_stopped().start();
    assert!(TcpStream::connect(collector.address()).await.is_err());
    collector.restart();
    assert_eq!(
        post_protobuf(&collector, encoded([1]))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_gate_holds_the_answer_and_the_acceptance() {
    let gate = Gate::new();
    let collector = Collector::builder()
        .always(Answer::gated(&gate, Answer::ok()))
        .start();
    let client = grpc(&collector).await;
    let mut calls = tokio::task::JoinSet::new();
    for id in 1..=3 {
        let mut client = client.clone();
        calls.spawn(async move { client.export(request([id])).await.is_ok() });
    }
    collector
        .wait_until(DEADLINE, |_| gate.waiting() == 3)
        .await;
    assert_eq!(
        (collector.request_count(), collector.accepted_count()),
        (3, 0)
    );
    gate.let_through(1);
    assert!(calls.join_next().await.unwrap().unwrap());
    assert_eq!(collector.accepted_count(), 1);
    gate.open();
    assert_eq!(calls.join_all().await, [true, true]);
    assert_eq!(accepted(&collector), [(1, 1), (2, 1), (3, 1)]);
}

#[tokio::test]
async fn who_gave_up_before_the_gate_opened_was_not_accepted() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let gate = Gate::new();
        let collector = Collector::builder()
            .always(Answer::gated(&gate, Answer::ok()))
            .start();
        let headers = [("content-type", crate::client::PROTOBUF)];
        let request = post_request(&collector, version, "/v1/traces", &headers, encoded([1]));
        let stream = TcpStream::connect(collector.address()).await.unwrap();
        // A connection goes with the runtime that it is on.
        let stream = stream.into_std().unwrap();
        let (give_up, given_up) = tokio::sync::oneshot::channel::<()>();
        let client = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let stream = TcpStream::from_std(stream).unwrap();
                tokio::select! {
                    _ = send(stream, version, request) => panic!("the gate is closed"),
                    _ = given_up => {}
                }
            });
        });
        collector.wait_for_requests(1, DEADLINE).await;
        drop(give_up);
        client.join().unwrap();
        let is_gone = |collector: &Collector| collector.open_connections() == 0;
        collector.wait_until(DEADLINE, is_gone).await;
        gate.open();
        collector.stop();
        assert_eq!(
            (collector.request_count(), collector.accepted_count()),
            (1, 0),
            "{version:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_answered_before_a_stop() {
    // Far more than sockets hold, so that the answer is not out when the collector stops.
    let collector = Collector::builder().always(Answer::large(32 << 20)).start();
    let mut stream = TcpStream::connect(collector.address()).await.unwrap();
    let body = encoded([1]);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    collector.wait_for_spans(1, DEADLINE).await;

    let gate = Gate::new();
    collector.set_always(Answer::gated(&gate, Answer::ok()));
    let mut client = grpc(&collector).await;
    let waiting = tokio::spawn(async move { client.export(request([2])).await });
    collector.wait_for_requests(2, DEADLINE).await;

    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| collector.stop());
        // It listens no more: the stop is under way.
        while std::net::TcpStream::connect(collector.address()).is_ok() {
            std::thread::yield_now();
        }
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut answer = vec![];
        std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
        assert!(answer.len() > 32 << 20, "{} bytes", answer.len());
        stopping.join().unwrap();
    });
    // The other is neither answered nor accepted, whatever the gate does later.
    gate.open();
    assert!(waiting.await.unwrap().is_err());
    collector.restart();
    post_protobuf(&collector, encoded([3])).await.unwrap();
    assert_eq!(accepted(&collector), [(1, 1), (3, 1)]);
}

/// HTTP/2 has windows of its own: the socket is free, and the answer still is not out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_window_is_answered_before_a_stop() {
    let collector = Collector::builder().always(Answer::large(8 << 20)).start();
    let stream = TcpStream::connect(collector.address()).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(65_535)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let headers = [("content-type", crate::client::PROTOBUF)];
    let send = |id| {
        let body = encoded([id]);
        post_request(&collector, Version::HTTP_2, "/v1/traces", &headers, body)
    };
    // Its head is there, and its body goes on as it is read.
    let mut large = client.send_request(send(1)).await.unwrap();
    large.body_mut().frame().await.unwrap().unwrap();
    collector.set_always(Answer::hang());
    let hanging = tokio::spawn(client.send_request(send(2)));
    collector.wait_for_requests(2, DEADLINE).await;
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| collector.stop());
        while std::net::TcpStream::connect(collector.address()).is_ok() {
            std::thread::yield_now();
        }
        let rest = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(large.into_body().collect())
        });
        assert!(rest.unwrap().to_bytes().len() > 7 << 20);
        stopping.join().unwrap();
    });
    assert!(hanging.await.unwrap().is_err());
    assert!(
        start.elapsed() < STOP_TIME,
        "it waits for nothing but the answer"
    );
    assert_eq!(accepted(&collector), [(1, 1)]);
}

/// Whatever comes first: who is accepted is told, and who is told was accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_opens_during_a_stop_is_one_or_the_other() {
    let mut partly = 0;
    for round in 0..40 {
        let gate = Gate::new();
        let collector = Collector::builder()
            .always(Answer::gated(&gate, Answer::ok()))
            .start();
        let client = grpc(&collector).await;
        let mut calls = tokio::task::JoinSet::new();
        for id in 1..=60 {
            let mut client = client.clone();
            calls.spawn(async move { (id, client.export(request([id])).await.is_ok()) });
        }
        collector
            .wait_until(DEADLINE, |_| gate.waiting() == 60)
            .await;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..60 {
                    gate.let_through(1);
                }
            });
            collector.stop();
        });
        let mut told = calls.join_all().await;
        told.retain(|(_, is_ok)| *is_ok);
        told.sort_unstable();
        partly += usize::from(!told.is_empty() && told.len() < 60);
        let told: Vec<_> = told.into_iter().map(|(id, _)| (id, 1)).collect();
        assert_eq!(
            accepted(&collector),
            told,
            "round {round}, {partly} of them partly"
        );
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_a_stop_for_ever() {
    let collector = Collector::builder().always(Answer::large(32 << 20)).start();
    let mut stream = TcpStream::connect(collector.address()).await.unwrap();
    let request = "POST /v1/traces HTTP/1.1
host: a
content-length: 0
\
        content-type: application/x-protobuf

";
    stream.write_all(request.as_bytes()).await.unwrap();
    collector.wait_for_requests(1, DEADLINE).await;
    let start = std::time::Instant::now();
    collector.stop();
    assert!(start.elapsed() < DEADLINE);
    assert_eq!(collector.open_connections(), 0);
    // What there is of an answer is not the whole.
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < 32 << 20);
}

#[tokio::test]
async fn a_delay_is_over_before_the_acceptance() {
    let delay = Duration::from_millis(30);
    let collector = Collector::builder()
        .always(Answer::delayed(delay, Answer::ok()))
        .start();
    let start = std::time::Instant::now();
    post_protobuf(&collector, encoded([1])).await.unwrap();
    assert!(start.elapsed() >= delay);
    assert_eq!(collector.accepted_count(), 1);
}

#[tokio::test]
async fn a_script_that_panics_ends_a_connection_and_no_more() {
    let collector = Collector::builder().answer(|_| panic!("scripted")).start();
    assert!(post_protobuf(&collector, encoded([1])).await.is_err());
    collector.set_always(Answer::ok());
    assert_eq!(
        post_protobuf(&collector, encoded([2]))
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(accepted(&collector), [(2, 1)]);
}
