//! What comes in goes out, stamped, or is refused.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use prost::Message;
use towline::otlp::{ExportErrorKind, PeerStatus};
use towline_test_support::collector::{Answer, Collector, Protocol, Refusal};
use towline_test_support::id_of;

use super::client::{Sender, attributes, forged, header, post, spans};
use super::daemon::{Config, DEADLINE, Daemon};

const TOKENS: &str = "c0ffee alice\ndecaf build-agent ci\n";

fn with_tokens(collector: &Collector, more: &str) -> Daemon {
    let section = format!("authorize: {{ token_file: DIR/tokens }}\n{more}");
    Daemon::start(Config::new(&section, &collector.grpc_url()).with_file("tokens", TOKENS))
}

#[tokio::test]
async fn spans_that_come_by_grpc_and_http_are_stamped_and_sent_on() {
    let collector = Collector::start();
    let daemon = with_tokens(&collector, "");
    assert!(
        daemon.grpc().starts_with("grpc://127.0.0.1:"),
        "{}",
        daemon.grpc()
    );
    assert!(
        daemon.http().starts_with("http://127.0.0.1:"),
        "{}",
        daemon.http()
    );

    Sender::new(daemon.grpc(), Some("c0ffee"))
        .send(&forged())
        .await
        .unwrap();
    Sender::new(daemon.http(), Some("decaf"))
        .send(&forged())
        .await
        .unwrap();
    let json = serde_json::to_vec(&forged()).unwrap();
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer c0ffee"),
    ];
    let response = post(daemon.http(), &headers, json).await;
    assert_eq!(
        (response.status().as_u16(), &response.body()[..]),
        (200, &b"{}"[..])
    );
    let report = daemon.stop();

    let requests = collector.requests();
    assert_eq!(requests.len(), 3);
    for (request, who) in requests.iter().zip(["alice", "build-agent:ci", "alice"]) {
        assert_eq!(request.protocol(), Protocol::Grpc);
        let stamped = vec![
            "own=kept".to_owned(),
            format!("teleport.forwarded.for={who}"),
        ];
        let everywhere = (vec![stamped.clone()], vec![stamped]);
        assert_eq!(attributes(request.request()), everywhere);
    }
    assert_eq!(
        report,
        "requests: received=3 acknowledged=3 refused=0 failed=0 cancelled=0; \
         spans: received=3 forwarded=3 rejected=0 discarded=0 rate_limited=0 failed=0 cancelled=0"
    );
}

#[tokio::test]
async fn whoever_has_no_token_is_refused_and_nothing_goes_on() {
    let collector = Collector::start();
    let daemon = with_tokens(&collector, "");
    for token in [None, Some("guess")] {
        let refused = Sender::new(daemon.grpc(), token).send(&spans([1])).await;
        let expected = ExportErrorKind::Refused(PeerStatus::Grpc(16));
        assert_eq!(refused.unwrap_err().kind(), expected);
        let refused = Sender::new(daemon.http(), token).send(&spans([1])).await;
        let expected = ExportErrorKind::Refused(PeerStatus::Http(401));
        assert_eq!(refused.unwrap_err().kind(), expected);
    }
    let headers = [("content-type", "application/x-protobuf")];
    let response = post(daemon.http(), &headers, spans([1]).encode_to_vec()).await;
    assert_eq!(
        header(response.headers(), "www-authenticate"),
        Some("Bearer")
    );

    let report = daemon.stop();
    assert_eq!(collector.started_requests(), 0);
    assert!(
        report.contains("received=5 acknowledged=0 refused=5 "),
        "{report}"
    );
}

#[test]
fn a_refusal_reaches_those_who_are_still_sending() {
    let collector = Collector::start();
    let daemon = with_tokens(&collector, "");
    // The refusal is known by the head. Whoever goes on writes into a connection that must not be reset meanwhile.
    for chunked in [false, true] {
        let mut stream = connect(daemon.http());
        let length = match chunked {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {}", 50 * PIECE.len()),
        };
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
             connection: close\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..50 {
            if chunked {
                write!(stream, "{:x}\r\n", PIECE.len()).unwrap();
            }
            stream.write_all(&PIECE).unwrap();
            if chunked {
                stream.write_all(b"\r\n").unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    daemon.stop();
}

const PIECE: [u8; 8 << 10] = [b' '; 8 << 10];

#[tokio::test]
async fn whoever_has_none_of_the_roles_may_not() {
    let collector = Collector::start();
    let section = "authorize: { token_file: DIR/tokens, roles: [admin, ci] }";
    let config = Config::new(section, &collector.grpc_url()).with_file("tokens", TOKENS);
    let daemon = Daemon::start(config);
    let refused = Sender::new(daemon.grpc(), Some("c0ffee"))
        .send(&spans([1]))
        .await;
    let expected = ExportErrorKind::Refused(PeerStatus::Grpc(7));
    assert_eq!(refused.unwrap_err().kind(), expected);
    Sender::new(daemon.grpc(), Some("decaf"))
        .send(&spans([2]))
        .await
        .unwrap();
    daemon.stop();
    assert_eq!(collector.accepted_count(), 1);
}

#[tokio::test]
async fn refusals_can_be_hidden_from_those_who_would_bother_their_users_with_them() {
    let collector = Collector::start();
    let section = "authorize: { token_file: DIR/tokens, on_refusal: discard }";
    let config = Config::new(section, &collector.grpc_url()).with_file("tokens", TOKENS);
    let daemon = Daemon::start(config);
    Sender::new(daemon.grpc(), None)
        .send(&spans([1]))
        .await
        .unwrap();
    let report = daemon.stop();
    assert_eq!(collector.started_requests(), 0);
    assert!(report.contains("acknowledged=0 refused=1 "), "{report}");
}

#[tokio::test]
async fn the_stamp_has_the_key_and_the_place_that_are_said() {
    let collector = Collector::start();
    let section = "authorize: { anonymous: yes }\nstamp: { key: enduser.id, place: resource }";
    let daemon = Daemon::start(Config::new(section, &collector.grpc_url()));
    Sender::new(daemon.http(), None)
        .send(&spans([1]))
        .await
        .unwrap();
    daemon.stop();
    let stamped = (vec![vec!["enduser.id=anonymous".to_owned()]], vec![vec![]]);
    assert_eq!(attributes(collector.requests()[0].request()), stamped);
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_for_good() {
    let collector = Collector::start();
    let daemon = with_tokens(
        &collector,
        "limits: { max_request_bytes: 1KiB, max_spans: 3 }",
    );
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("authorization", "Bearer c0ffee"),
    ];
    let (many, large) = (spans(0..4), spans(0..100));
    for request in [&many, &large] {
        let response = post(daemon.http(), &headers, request.encode_to_vec()).await;
        assert_eq!(response.status(), 413);
    }
    assert_eq!(collector.started_requests(), 0);

    // Towline's exporter sends it in pieces.
    Sender::new(daemon.grpc(), Some("c0ffee"))
        .send(&many)
        .await
        .unwrap();
    let report = daemon.stop();
    assert_eq!(collector.accepted_count(), 4);
    assert!(report.contains("received=4 forwarded=4 "), "{report}");
}

#[tokio::test]
async fn what_the_collector_says_of_some_spans_their_sender_is_told() {
    let collector = Collector::builder()
        .always(Answer::partial(1, "one too many"))
        .start();
    let daemon = Daemon::before(&collector, "{ anonymous: yes }");
    let receipt = Sender::new(daemon.grpc(), None)
        .send(&spans([1, 2, 3]))
        .await
        .unwrap();
    assert_eq!(receipt.rejected_spans(), 1);
    assert_eq!(receipt.message(), Some("one too many"));

    collector.set_always(Answer::status(Refusal::InvalidArgument));
    let refused = Sender::new(daemon.http(), None).send(&spans([4])).await;
    let expected = ExportErrorKind::Refused(PeerStatus::Http(400));
    assert_eq!(refused.unwrap_err().kind(), expected);
    let report = daemon.stop();
    assert!(
        report.contains("received=4 forwarded=2 rejected=1 "),
        "{report}"
    );
}

#[tokio::test]
async fn requests_of_a_few_spans_go_on_together() {
    let collector = Collector::start();
    let section =
        "authorize: { token_file: DIR/tokens }\ncoalesce: { enabled: yes, max_delay: 500ms }";
    let config = Config::new(section, &collector.grpc_url()).with_file("tokens", TOKENS);
    let daemon = Daemon::start(config);
    let senders = [
        Sender::new(daemon.grpc(), Some("c0ffee")),
        Sender::new(daemon.grpc(), Some("decaf")),
    ];
    let requests: Vec<_> = (1..=20).map(|id| spans([id])).collect();
    let sent = requests.iter().zip(senders.iter().cycle());
    let sent = sent.map(|(request, sender)| sender.send(request));
    for result in futures_util::future::join_all(sent).await {
        result.unwrap();
    }
    let report = daemon.stop();

    let mut stamps: Vec<(u64, String)> = vec![];
    for request in collector.requests() {
        let (_, of_spans) = attributes(request.request());
        let ids = request
            .spans()
            .map(|span| u64::from_be_bytes(id_of(span).to_bytes()));
        stamps.extend(ids.zip(of_spans.into_iter().map(|mut list| list.remove(0))));
    }
    stamps.sort();
    let whose = |id| {
        if id % 2 == 1 {
            "alice"
        } else {
            "build-agent:ci"
        }
    };
    let expected = (1..=20).map(|id| (id, format!("teleport.forwarded.for={}", whose(id))));
    assert!(stamps.iter().cloned().eq(expected), "{stamps:?}");
    assert!(
        collector.request_count() < 20,
        "{} requests",
        collector.request_count()
    );
    assert!(report.contains("received=20 acknowledged=20 "), "{report}");
}

#[tokio::test]
async fn with_tracing_off_spans_are_taken_and_thrown_away() {
    let daemon = Daemon::start(Config::of(
        "forwarder_service:\n  grpc_listen_addr: 127.0.0.1:0\n  http_listen_addr: 127.0.0.1:0\n  \
         authorize: { anonymous: yes }\ntracing_service: { enabled: no }\n",
    ));
    Sender::new(daemon.grpc(), None)
        .send(&spans([1, 2]))
        .await
        .unwrap();
    let report = daemon.stop();
    assert!(
        report.contains("spans: received=2 forwarded=0 rejected=0 discarded=2 "),
        "{report}"
    );
}

#[tokio::test]
async fn a_request_of_a_traced_sender_is_a_span_of_the_forwarder_itself() {
    let collector = Collector::start();
    let daemon = Daemon::before(&collector, "{ anonymous: yes }");
    let headers = [
        ("content-type", "application/x-protobuf"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let response = post(daemon.http(), &headers, spans([1]).encode_to_vec()).await;
    assert_eq!(response.status(), 200);
    let response = post(daemon.http(), &headers[..1], spans([2]).encode_to_vec()).await;
    assert_eq!(response.status(), 200);
    // It goes when the forwarder does.
    daemon.stop();

    let requests = collector.requests();
    let mut names: Vec<_> = requests
        .iter()
        .flat_map(|request| request.spans())
        .collect();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = names.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["POST /v1/traces", "span 1", "span 2"]);
    // Nobody has forwarded it.
    let own = requests
        .iter()
        .find(|request| request.spans().any(|span| span.name == "POST /v1/traces"));
    let (of_resource, _) = attributes(own.unwrap().request());
    assert!(
        of_resource[0].contains(&"service.name=forwarder".to_owned()),
        "{of_resource:?}"
    );
    assert!(
        !format!("{of_resource:?}").contains("forwarded"),
        "{of_resource:?}"
    );
}

#[test]
fn who_connects_and_says_nothing_is_shown_out() {
    let collector = Collector::start();
    let daemon = Daemon::start(Config::new(
        "authorize: { anonymous: yes }\nlimits: { head_timeout: 100ms }",
        &collector.grpc_url(),
    ));
    for url in [daemon.grpc(), daemon.http()] {
        let mut silent = connect(url);
        let mut answer = vec![];
        // Nothing but its end, which may be a reset.
        let end = silent.read_to_end(&mut answer);
        let is_over = !matches!(&end, Err(error) if error.kind() == ErrorKind::WouldBlock);
        assert!(is_over && answer.is_empty(), "{end:?} {answer:?}");
    }
    daemon.stop();
}

#[test]
fn connections_over_the_limit_wait_for_others_to_end() {
    let collector = Collector::start();
    let daemon = Daemon::start(Config::new(
        "authorize: { anonymous: yes }\nlimits: { max_connections: 1 }",
        &collector.grpc_url(),
    ));
    // HTTP/2 as it begins; who is served gets the same back.
    let mut first = connect(daemon.grpc());
    first
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    first.read_exact(&mut [0; 9]).unwrap();

    let mut second = connect(daemon.http());
    let request = "POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
                   connection: close\r\ncontent-length: 2\r\n\r\n{}";
    second.write_all(request.as_bytes()).unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let early = second.read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    drop(first);
    second.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    daemon.stop();
}

fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.split_once("://").unwrap().1).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}
