//! What clients count and what the collector does are the same.

use std::collections::HashMap;
use std::sync::Mutex;

use towline_test_support::Mix;
use towline_test_support::collector::{Answer, Collector, Refusal};

use crate::client::{counts, encoded, grpc, post_protobuf, request};

/// Many clients at once, each with spans of its own: what one was told is what is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acceptance_is_exact_under_concurrent_requests() {
    let seed = 20_261_121;
    let collector = Collector::builder()
        .mix(
            Mix::new(seed)
                .weight(5, Answer::ok())
                .weight(3, Answer::partial(2, "two too many"))
                .weight(2, Answer::status(Refusal::Unavailable))
                .weight(1, Answer::reset())
                .weight(1, Answer::close()),
        )
        .start();
    let told: Mutex<HashMap<u64, usize>> = Mutex::default();
    let clients = (0..8u64).map(async |client| {
        for round in 0..40 {
            let first = 1 + (client * 40 + round) * 5;
            let ids = first..first + 5;
            let rejected = if client % 2 == 0 {
                let response = grpc(&collector).await.export(request(ids.clone())).await;
                response.ok().map(|response| {
                    let partial = response.into_inner().partial_success;
                    partial.map_or(0, |partial| partial.rejected_spans as u64)
                })
            } else {
                let answered = post_protobuf(&collector, encoded(ids.clone())).await;
                let answered = answered.ok().filter(|answered| answered.status == 200);
                answered.map(|answered| if answered.body.is_empty() { 0 } else { 2 })
            };
            if let Some(rejected) = rejected {
                let mut told = told.lock().unwrap();
                for id in first..ids.end - rejected {
                    *told.entry(id).or_default() += 1;
                }
            }
        }
    });
    futures_util::future::join_all(clients).await;
    let mut told: Vec<_> = told.into_inner().unwrap().into_iter().collect();
    told.sort_unstable();
    assert!(told.len() > 500, "{}", told.len());
    assert_eq!(counts(collector.accepted()), told, "seed {seed}");
    assert!(!collector.rejected().is_empty());
    assert_eq!(collector.request_count(), 320);
    assert_eq!(collector.requests().len(), 320);
    let mut numbers: Vec<_> = collector
        .requests()
        .iter()
        .map(|request| request.number())
        .collect();
    numbers.dedup();
    assert_eq!(numbers, (0..320).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_sent_twice_is_counted_twice() {
    let lost = Answer::reset().after_accepting();
    let collector = Collector::builder().sequence([lost, Answer::ok()]).start();
    assert!(post_protobuf(&collector, encoded([1, 2])).await.is_err());
    assert_eq!(counts(collector.accepted()), [(1, 1), (2, 1)]);
    post_protobuf(&collector, encoded([2])).await.unwrap();
    assert_eq!(counts(collector.accepted()), [(1, 1), (2, 2)]);
}
