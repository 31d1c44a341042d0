//! The tables of attributes in the documentation are what is recorded.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use http::{HeaderName, Method, Request, Response};
use opentelemetry_sdk::trace::SpanData;
use towline_http::{Begin, PeerAddr, client, server};
use towline_test_support::TestTracing;

use crate::{attributes, exchange};

const LISTED: HeaderName = HeaderName::from_static("x-listed");

/// The names in the first column of the table under "What is recorded".
fn documented(source: &str) -> BTreeSet<String> {
    let section = source
        .split("//! # What is recorded\n")
        .nth(1)
        .and_then(|rest| rest.split("//! # ").next())
        .expect("there is such a section");
    let first_column = section
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .filter_map(|row| row.split(" | ").next());
    first_column
        .flat_map(|names| names.split('`'))
        .filter(|name| name.contains('.'))
        .map(str::to_owned)
        .collect()
}

/// The names of all attributes of spans that between them show every one.
fn recorded<L>(layer: impl Fn(&TestTracing) -> L) -> BTreeSet<String>
where
    L: Begin,
{
    let mut names = BTreeSet::new();
    let mut note = |span: SpanData| {
        let keys = attributes(&span).into_keys();
        names.extend(keys.map(|key| key.replace("x-listed", "<key>")));
    };

    // A made-up method, answered with an error.
    let tracing = TestTracing::always();
    let peer = PeerAddr(SocketAddr::from(([192, 0, 2, 1], 1)));
    let request = Request::builder()
        .method(Method::from_bytes(b"BREW").unwrap())
        .uri("http://users.example:81/users?q=abc")
        .header("user-agent", "towline")
        .header("x-listed", "a")
        .extension(peer)
        .extension(client::ResendCount::new(1))
        .body(())
        .unwrap();
    let response = Response::builder()
        .status(500)
        .header("x-listed", "b")
        .extension(peer);
    exchange(layer(&tracing), request, response.body(()).unwrap());
    note(tracing.only());

    // Dropped before it was answered.
    let tracing = TestTracing::always();
    let (span, record) = layer(&tracing).begin(&mut Request::new(())).unwrap();
    drop(record);
    drop(span);
    note(tracing.only());
    names
}

#[test]
fn the_server_s_table_is_what_is_recorded() {
    let recorded = recorded(|tracing| {
        server::TraceLayer::from_spans(tracing.spans())
            .with_route(|_| Some("/users".into()))
            .with_request_headers([LISTED])
            .with_response_headers([LISTED])
    });
    assert_eq!(
        documented(include_str!("../../src/server/mod.rs")),
        recorded
    );
}

#[test]
fn the_client_s_table_is_what_is_recorded() {
    let recorded = recorded(|tracing| {
        client::TraceLayer::from_spans(tracing.spans())
            .with_template(|_| Some("/users".into()))
            .with_request_headers([LISTED])
            .with_response_headers([LISTED])
    });
    assert_eq!(
        documented(include_str!("../../src/client/mod.rs")),
        recorded
    );
}
