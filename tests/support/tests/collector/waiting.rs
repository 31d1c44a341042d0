//! Waits end when there is something to see, and say what there was when there is not.

use std::time::{Duration, Instant};

use towline_test_support::Gate;
use towline_test_support::collector::{Answer, Collector, Refusal};

use crate::client::{DEADLINE, encoded, post_protobuf};

#[test]
fn blocking_waits_see_what_comes_while_they_wait() {
    let collector = Collector::builder()
        .sequence([Answer::status(Refusal::Unavailable), Answer::ok()])
        .start();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                for _ in 0..2 {
                    post_protobuf(&collector, encoded([1, 2])).await.unwrap();
                }
            });
        });
        collector.blocking_wait_for_spans(2, DEADLINE);
        collector.blocking_wait_for_requests(2, DEADLINE);
    });
    assert_eq!(collector.request_count(), 2);
}

#[test]
fn blocking_waits_are_woken() {
    let gate = Gate::new();
    let collector = Collector::builder()
        .always(Answer::gated(&gate, Answer::ok()))
        .start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let send = |id| runtime.block_on(post_protobuf(&collector, encoded([id])));
    let (send, start) = (&send, Instant::now());
    std::thread::scope(|scope| {
        for id in 1..=10 {
            scope.spawn(move || assert_eq!(send(id).unwrap().status, 200));
            collector.blocking_wait_for_requests(usize::try_from(id).unwrap(), DEADLINE);
            // What is waited for now comes by way of two more threads.
            gate.let_through(1);
            collector.blocking_wait_for_spans(usize::try_from(id).unwrap(), DEADLINE);
        }
    });
    assert!(start.elapsed() < DEADLINE, "somebody slept to the end");
}

/// A paused clock jumps when nothing else is to be done; the deadline is not on it.
#[tokio::test(start_paused = true)]
async fn the_deadline_is_real_time() {
    let collector = Collector::start();
    let address = collector.address();
    let client = std::thread::spawn(move || std::net::TcpStream::connect(address).unwrap());
    collector
        .wait_until(DEADLINE, |collector| collector.connections() == 1)
        .await;
    drop(client.join().unwrap());
    collector
        .wait_until(DEADLINE, |collector| collector.open_connections() == 0)
        .await;
}

#[tokio::test]
#[should_panic(expected = "0 connections (0 open, 0 failed handshakes), 0 requests")]
async fn a_wait_in_vain_says_what_there_was() {
    let collector = Collector::start();
    collector
        .wait_for_requests(1, Duration::from_millis(10))
        .await;
}

#[test]
fn a_wait_in_vain_ends_and_says_where_it_was() {
    let collector = Collector::start();
    let start = Instant::now();
    let waits = std::panic::AssertUnwindSafe(|| {
        collector.blocking_wait_for_spans(1, Duration::from_millis(10));
    });
    let panic = std::panic::catch_unwind(waits).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with(file!()), "{text}");
    assert!(start.elapsed() < DEADLINE);
}
