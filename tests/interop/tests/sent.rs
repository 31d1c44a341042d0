//! Spans that are sent to receivers of others arrive as they were recorded.

use opentelemetry_sdk::Resource;
use towline_interop::peers::rotel::{Rotel, as_printed};
use towline_interop::peers::test_agent::TestAgent;
use towline_interop::sink::Sink;
use towline_interop::span::assert_same;
use towline_interop::{export, hard, recorded};

#[test]
fn rotel_prints_and_forwards_what_it_got_over_grpc() {
    through_rotel(|rotel| rotel.grpc_url());
}

#[test]
fn rotel_prints_and_forwards_what_it_got_over_http() {
    through_rotel(|rotel| rotel.http_url());
}

#[test]
fn the_test_agent_shows_what_it_got_over_grpc() {
    through_test_agent(|agent| agent.grpc_url());
}

#[test]
fn the_test_agent_shows_what_it_got_over_http() {
    through_test_agent(|agent| agent.http_url());
}

#[test]
fn thousands_of_spans_arrive_once_each_over_grpc() {
    thousands_through_rotel(|rotel| rotel.grpc_url());
}

#[test]
fn thousands_of_spans_arrive_once_each_over_http() {
    thousands_through_rotel(|rotel| rotel.http_url());
}

/// In several batches.
#[track_caller]
fn thousands_through_rotel(url: impl Fn(&Rotel) -> String) {
    let sink = Sink::start();
    let mut rotel = Rotel::start(sink.address());
    let (spans, resource) = (hard::plain(10_000), Resource::builder().build());
    export::export_all(&url(&rotel), &resource, &spans);
    let forwarded = rotel.forwarded(&sink, spans.len());
    assert_same(
        "the sink behind Rotel",
        &forwarded,
        &recorded::spans(&spans, &resource),
    );
}

#[track_caller]
fn through_rotel(url: impl Fn(&Rotel) -> String) {
    let sink = Sink::start();
    let mut rotel = Rotel::start(sink.address());
    let mut spans = hard::spans();
    spans.push(hard::large());
    let resource = hard::resource();
    export::export_all(&url(&rotel), &resource, &spans);
    let recorded = recorded::spans(&spans, &resource);

    let forwarded = rotel.forwarded(&sink, recorded.len());
    assert_same("the sink behind Rotel", &forwarded, &recorded);

    // Printed on arrival, so before they were sent on.
    let recorded: Vec<_> = recorded.into_iter().map(as_printed).collect();
    assert_same("Rotel", &rotel.printed(), &recorded);
}

#[track_caller]
fn through_test_agent(url: impl Fn(&TestAgent) -> String) {
    let agent = TestAgent::start();
    let (spans, resource) = (hard::spans(), hard::resource());
    export::export_all(&url(&agent), &resource, &spans);
    assert_same(
        "the test agent",
        &agent.received(),
        &recorded::spans(&spans, &resource),
    );
}
