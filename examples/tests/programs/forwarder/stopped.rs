//! How it ends.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanId;
use towline::otlp::ExportErrorKind;
use towline_test_support::Gate;
use towline_test_support::collector::{Answer, Collector};

use super::client::{Sender, spans};
use super::daemon::{Config, DEADLINE, Daemon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost() {
    // Some requests are with the collector whenever the signal comes.
    let collector = Collector::builder()
        .answer(|request| {
            Answer::delayed(
                Duration::from_millis(request.number() as u64 % 20),
                Answer::ok(),
            )
        })
        .start();
    let daemon = Daemon::before(&collector, "{ anonymous: yes }");
    let senders: Vec<_> = (0..8)
        .map(|number: u64| {
            let url = [daemon.grpc(), daemon.http()][number as usize % 2];
            let sender = Sender::new(url, None);
            tokio::spawn(async move {
                let mut acknowledged = vec![];
                for id in 1.. {
                    let id = number * 1_000_000 + id;
                    match sender.send(&spans([id])).await {
                        Ok(_) => acknowledged.push(id),
                        Err(_) => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    collector.wait_for_spans(200, DEADLINE).await;
    daemon.interrupt();
    let mut acknowledged = vec![];
    for sender in senders {
        let sent = tokio::time::timeout(DEADLINE, sender).await;
        acknowledged.extend(sent.expect("it takes no more requests").unwrap());
    }
    let (status, report) = daemon.ended();

    assert_eq!(status.code(), Some(0), "{report}");
    assert!(acknowledged.len() >= 190, "{}", acknowledged.len());
    let accepted = collector.accepted();
    for id in &acknowledged {
        let id = SpanId::from_bytes(id.to_be_bytes());
        assert_eq!(accepted.get(&id), Some(&1), "{id}");
    }
    let forwarded = format!("forwarded={} ", accepted.len());
    assert!(report.contains(&forwarded), "{report}");
    // Nor is anything delivered of which nobody was told.
    assert_eq!(accepted.len(), acknowledged.len(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_is_finished_and_nobody_else_gets_in() {
    let gate = Gate::new();
    let collector = Collector::builder()
        .always(Answer::gated(&gate, Answer::ok()))
        .start();
    let daemon = Daemon::before(&collector, "{ anonymous: yes }");
    let senders = [daemon.grpc(), daemon.http()].map(|url| Arc::new(Sender::new(url, None)));
    let under_way = senders
        .clone()
        .map(|sender| tokio::spawn(async move { sender.send(&spans([1, 2, 3])).await }));
    let waiting = gate.clone();
    collector
        .wait_until(DEADLINE, move |_| waiting.waiting() == 2)
        .await;

    daemon.interrupt();
    let started = Instant::now();
    for url in [daemon.grpc(), daemon.http()] {
        while TcpStream::connect(url.split_once("://").unwrap().1).is_ok() {
            assert!(started.elapsed() < DEADLINE, "{url} still listens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    gate.open();
    for task in under_way {
        task.await.unwrap().unwrap();
    }
    let (status, report) = daemon.ended();
    assert_eq!(status.code(), Some(0), "{report}");
    assert!(
        report.contains("acknowledged=2 ") && report.contains("forwarded=6 "),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_cut_off_and_its_sender_knows() {
    for times in [1, 2] {
        let collector = Collector::builder().always(Answer::hang()).start();
        // Once it waits for so long, twice it does not wait.
        let patience = if times == 1 { "100ms" } else { "1h" };
        let section = format!("authorize: {{ anonymous: yes }}\nstop_timeout: {patience}");
        let daemon = Daemon::start(Config::new(&section, &collector.grpc_url()));
        let sender = Sender::new(daemon.grpc(), None);
        let under_way = tokio::spawn(async move { sender.send(&spans([1])).await });
        collector.wait_for_requests(1, DEADLINE).await;
        daemon.interrupt();
        if times == 2 {
            // Heard, not taken for the first: the port is closed by then.
            let address = daemon.http().split_once("://").unwrap().1;
            let started = Instant::now();
            while TcpStream::connect(address).is_ok() {
                assert!(started.elapsed() < DEADLINE, "still listens");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            daemon.interrupt();
        }
        let error = under_way.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Unreachable, "{error}");
        let (status, report) = daemon.ended();
        assert_eq!(status.code(), Some(3), "{report}");
        assert!(
            report.contains("acknowledged=0 refused=0 failed=0 cancelled=1;"),
            "{report}"
        );
    }
}

#[test]
fn an_address_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = Config::of(&format!(
        "forwarder_service:\n  grpc_listen_addr: off\n  http_listen_addr: {address}\n  \
         authorize: {{ anonymous: yes }}\ntracing_service: {{ enabled: no }}\n"
    ));
    let output = config.run();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "{}: `http_listen_addr` is {address}, where nobody can listen: expected an address that is free: ",
        config.path().display()
    );
    assert!(stderr.contains(&expected), "{stderr}");
    assert_eq!(output.stdout, b"");
}
