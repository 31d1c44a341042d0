//! What receivers of others refuse is counted, sent once, and holds nothing else up.
//!
//! The test agent's HTTP receiver takes requests of up to 1 MiB. Its gRPC receiver hands requests
//! on to that one, and answers a refusal as a partial success.

use towline_interop::peers::test_agent::TestAgent;
use towline_interop::span::assert_same;
use towline_interop::{export, hard, recorded};

#[test]
fn a_request_that_is_too_large_over_http_is_counted_as_too_large() {
    let stats = large_among_others(|agent| agent.http_url());
    assert_eq!(stats.dropped.too_large, 1, "{stats:?}");
}

#[test]
fn a_partial_success_over_grpc_is_counted_as_refused() {
    let stats = large_among_others(|agent| agent.grpc_url());
    assert_eq!(stats.dropped.refused, 1, "{stats:?}");
}

/// Where the spans went; all but the large one must have arrived.
#[track_caller]
fn large_among_others(url: impl Fn(&TestAgent) -> String) -> towline_otlp::Stats {
    let agent = TestAgent::start();
    let (others, resource) = (hard::spans(), hard::resource());
    let mut spans = others.clone();
    spans.insert(others.len() / 2, hard::large());
    let stats = export::export(&url(&agent), &resource, &spans);
    assert_eq!(stats.exported, others.len() as u64, "{stats:?}");
    assert_eq!(stats.dropped.total(), 1, "{stats:?}");

    assert_same(
        "the test agent",
        &agent.received(),
        &recorded::spans(&others, &resource),
    );
    stats
}
