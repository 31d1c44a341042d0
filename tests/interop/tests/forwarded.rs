//! Clients of others send their spans through a forwarder.

use std::time::Duration;

use towline_forwarder::Limits;
use towline_interop::clients::{Client, Recorded, Task};
use towline_interop::forwarder::{Between, TOKEN};
use towline_interop::span::{Span, assert_same};
use towline_interop::stamped::{FORWARDED_FOR, stamped};
use towline_test_support::collector::{Answer, Refusal};

#[test]
fn what_python_sends_over_grpc_arrives_stamped() {
    arrives_stamped(Client::PythonGrpc);
}

#[test]
fn what_python_sends_over_http_arrives_stamped() {
    arrives_stamped(Client::PythonHttp);
}

#[test]
fn what_node_sends_as_json_arrives_stamped() {
    arrives_stamped(Client::Node);
}

#[track_caller]
fn arrives_stamped(client: Client) {
    let between = Between::start(Limits::new());
    let recorded = client.run(with_token(&between.url()));
    assert_eq!(recorded.exports, [true], "{:?}", recorded.log);
    // The client lies wherever it can.
    let lies = |span: &Span| {
        let lists = [&span.attributes, &span.resource.attributes];
        let of_items = span.events.iter().map(|event| &event.attributes);
        let of_items = of_items.chain(span.links.iter().map(|link| &link.attributes));
        let attributes = lists.into_iter().chain(of_items).flatten();
        attributes.filter(|one| one.key == FORWARDED_FOR).count()
    };
    let total: usize = recorded.spans.iter().map(lies).sum();
    assert!(total > recorded.spans.len() + 2, "{total}");
    assert!(recorded.spans.len() >= 13, "{}", recorded.spans.len());

    let (_, who) = TOKEN;
    let expected = stamped(&recorded.spans, who);
    let behind = format!("the collector behind the forwarder, for {client:?},");
    assert_same(&behind, &between.arrived(), &expected);
    let stats = between.stats();
    assert_eq!(
        (stats.requests.received, stats.requests.acknowledged),
        (1, 1),
        "{stats:?}"
    );
    assert_eq!(stats.spans.forwarded, expected.len() as u64);
}

#[test]
fn whoever_has_no_token_is_told_so_and_does_not_try_again() {
    for client in Client::ALL {
        let between = Between::start(Limits::new());
        let url = between.url();
        let recorded = client.run(Task {
            token: None,
            ..with_token(&url)
        });
        is_told(
            client,
            &recorded,
            ["UNAUTHENTICATED", "401", "Unauthorized"],
        );
        let stats = between.stats();
        assert_eq!(stats.requests.received, 1, "{client:?}: {stats:?}");
        assert_eq!(
            stats.requests.refused.unauthenticated, 1,
            "{client:?}: {stats:?}"
        );
        assert_eq!(between.collector.started_requests(), 0, "{client:?}");
    }
}

#[test]
fn what_is_too_large_is_told_to_its_client() {
    for client in Client::ALL {
        let between = Between::start(Limits::new().max_request_bytes(64 << 10));
        let url = between.url();
        let recorded = client.run(Task {
            large_bytes: 100_000,
            timeout_millis: 2_000,
            ..with_token(&url)
        });
        is_told(
            client,
            &recorded,
            ["RESOURCE_EXHAUSTED", "413", "Payload Too Large"],
        );
        let stats = between.stats();
        let sent = stats.requests.received;
        // Python's gRPC exporter tries again whatever the server says of it, with a pause.
        match client {
            Client::PythonGrpc => assert!((1..=3).contains(&sent), "{stats:?}"),
            _ => assert_eq!(sent, 1, "{client:?}: {stats:?}"),
        }
        assert_eq!(
            stats.requests.refused.too_large, sent,
            "{client:?}: {stats:?}"
        );
        assert_eq!(between.collector.started_requests(), 0, "{client:?}");
    }
}

#[test]
fn what_a_busy_collector_does_not_take_is_sent_again_and_arrives_once() {
    for client in Client::ALL {
        let between = Between::start(Limits::new());
        let busy = Answer::status(Refusal::Unavailable).retry_after(Duration::from_secs(1));
        between.collector.set_sequence([busy, Answer::ok()]);
        let recorded = client.run(with_token(&between.url()));
        assert_eq!(recorded.exports, [true], "{client:?}: {:?}", recorded.log);
        let stats = between.stats();
        assert_eq!(
            (stats.requests.failed, stats.requests.acknowledged),
            (1, 1),
            "{client:?}: {stats:?}"
        );
        let accepted = between.collector.accepted();
        assert_eq!(accepted.len(), recorded.spans.len(), "{client:?}");
        assert!(accepted.values().all(|times| *times == 1), "{accepted:?}");
    }
}

#[test]
fn a_partial_success_reaches_the_client_and_nothing_is_sent_again() {
    for client in Client::ALL {
        let between = Between::start(Limits::new());
        between
            .collector
            .set_always(Answer::partial(1, "one too many"));
        let recorded = client.run(with_token(&between.url()));
        // It is a success, and only Node's exporter tells of the rest.
        assert_eq!(recorded.exports, [true], "{client:?}: {:?}", recorded.log);
        let log = recorded.log.join("\n");
        assert_eq!(
            log.contains("one too many"),
            client == Client::Node,
            "{client:?}: {log}"
        );
        let stats = between.stats();
        assert_eq!(stats.requests.received, 1, "{client:?}: {stats:?}");
        assert_eq!(stats.spans.rejected, 1, "{client:?}: {stats:?}");
        assert_eq!(
            stats.spans.forwarded,
            recorded.spans.len() as u64 - 1,
            "{client:?}: {stats:?}"
        );
    }
}

fn with_token(url: &str) -> Task<'_> {
    let (token, _) = TOKEN;
    Task {
        url,
        token: Some(token),
        timeout_millis: 30_000,
        large_bytes: 0,
    }
}

/// The client knows that its spans were not taken, and its log has the status.
#[track_caller]
fn is_told(client: Client, recorded: &Recorded, statuses: [&str; 3]) {
    assert_eq!(recorded.exports, [false], "{client:?}: {:?}", recorded.log);
    let of_client = Client::ALL.iter().position(|one| *one == client);
    let status = statuses[of_client.expect("one of them")];
    let log = recorded.log.join("\n");
    assert!(log.contains(status), "{client:?}: {log}");
}
