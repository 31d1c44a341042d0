//! Every span is somewhere: what was acknowledged arrived, what did not arrive was reported.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use opentelemetry::trace::SpanId;
use prost::Message;
use tower::Layer;
use towline_forwarder::{CoalesceLayer, Limits};
use towline_otlp::policy::Backoff;
use towline_otlp::{ExportError, ExportErrorKind, Exporter, PeerStatus};
use towline_test_support::Mix;
use towline_test_support::transport::{MemoryTransport, Reply};

use crate::support::{Server, assert_accounted_for, builder, frame, gzip, request};

/// What the client was told of each span.
#[derive(Default)]
struct Told {
    acknowledged: HashSet<u64>,
    /// Of a request that was taken in part, one of these was not.
    partly: Vec<(Vec<u64>, usize)>,
    refused: HashSet<u64>,
}

fn mix(seed: u64) -> Mix<Reply> {
    let fail = |kind| Reply::error(ExportError::new(kind, "made up"));
    Mix::new(seed)
        .weight(6, Reply::ok())
        .weight(2, Reply::partial(1, "the last one"))
        .weight(2, Reply::refused(PeerStatus::Grpc(14)))
        .weight(1, Reply::refused(PeerStatus::Http(400)))
        .weight(1, Reply::refused(PeerStatus::Grpc(16)))
        .weight(1, fail(ExportErrorKind::Unreachable))
        .weight(1, fail(ExportErrorKind::InvalidResponse))
        .weight(1, fail(ExportErrorKind::TooLarge))
        .weight(1, Reply::delayed(Duration::from_millis(20), Reply::ok()))
        .weight(1, Reply::delayed(Duration::from_secs(3600), Reply::ok()))
}

/// Sends one request, in one of the ways in which it can be sent, and notes what it was told.
async fn send(server: &Server, told: &Mutex<Told>, first: u64, count: u64) {
    let numbers: Vec<u64> = (first..first + count).collect();
    let content = request(numbers.iter().copied()).encode_to_vec();
    let (is_taken, partial) = match first % 3 {
        0 => {
            let body = Full::new(frame(0, &content));
            let answer = server.send_h2(server.grpc().body(body).unwrap()).await;
            let message = answer.body.get(5..).unwrap_or_default().to_vec();
            (answer.code() == 0, message)
        }
        1 => {
            let sent = server
                .http("application/x-protobuf")
                .header("content-encoding", "gzip");
            let body = Full::new(Bytes::from(gzip(&content)));
            let answer = server.send(sent.body(body).unwrap()).await;
            (answer.status == 200, answer.body.to_vec())
        }
        _ => {
            let json = serde_json::to_vec(&request(numbers.iter().copied())).unwrap();
            let body = Full::new(Bytes::from(json));
            let answer = server
                .send(server.http("application/json").body(body).unwrap())
                .await;
            let read: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let rejected = read["partialSuccess"]["rejectedSpans"]
                .as_str()
                .unwrap_or("0");
            let rejected: u8 = rejected.parse().unwrap();
            let partial = if rejected > 0 {
                vec![0x0a, 2, 0x08, rejected]
            } else {
                vec![]
            };
            (answer.status == 200, partial)
        }
    };
    let mut told = told.lock().unwrap();
    let response =
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse::decode(
            &partial[..],
        );
    let rejected = match is_taken {
        true => response
            .unwrap()
            .partial_success
            .map_or(0, |partial| partial.rejected_spans),
        false => 0,
    };
    match (is_taken, rejected) {
        (false, _) => told.refused.extend(numbers),
        (true, 0) => told.acknowledged.extend(numbers),
        (true, rejected) => told.partly.push((numbers, rejected as usize)),
    }
}

async fn run(seed: u64, backend: &MemoryTransport, server: &Server) -> (Told, u64) {
    let told = Arc::new(Mutex::new(Told::default()));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut next = 1;
    for _ in 0..15 {
        let mut requests = vec![];
        for _ in 0..random.usize(1..8) {
            let count = random.u64(1..6);
            requests.push((next, count));
            next += count;
        }
        let sending = requests
            .into_iter()
            .map(|(first, count)| send(server, &told, first, count));
        futures_util::future::join_all(sending).await;
        assert_accounted_for(&server.stats());
    }
    server.assert_settled();
    let told = std::mem::take(&mut *told.lock().unwrap());
    let accepted: HashMap<SpanId, usize> = backend.accepted();
    let arrived = |number: &u64| accepted.contains_key(&SpanId::from(*number));
    for number in &told.acknowledged {
        assert!(
            arrived(number),
            "seed {seed}: {number} was acknowledged, and lost"
        );
    }
    for (numbers, rejected) in &told.partly {
        let lost = numbers.iter().filter(|number| !arrived(number)).count();
        assert!(
            lost <= *rejected,
            "seed {seed}: {lost} of {numbers:?} lost, {rejected} reported"
        );
    }
    let stats = server.stats();
    assert_eq!(stats.spans.received, next - 1, "seed {seed}");
    let partly: usize = told.partly.iter().map(|(numbers, _)| numbers.len()).sum();
    assert_eq!(
        told.acknowledged.len() + told.refused.len() + partly,
        next as usize - 1,
        "seed {seed}"
    );
    (told, next - 1)
}

fn limits() -> Limits {
    Limits::new().timeout(Duration::from_millis(150))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_arrived_exactly_once() {
    for seed in 1..=3 {
        let backend = MemoryTransport::mix(mix(seed));
        let server = Server::start(builder().exporter(backend.clone()).limits(limits())).await;
        let (told, sent) = run(seed, &backend, &server).await;
        let accepted = backend.accepted();
        assert!(accepted.values().all(|times| *times == 1), "seed {seed}");
        // Refused means lost: nothing arrives of what the client will send again.
        let refused = |number: &u64| accepted.contains_key(&SpanId::from(*number));
        assert!(!told.refused.iter().any(refused), "seed {seed}");
        let spans = server.stats().spans;
        assert_eq!(spans.forwarded as usize, accepted.len(), "seed {seed}");
        assert_eq!(spans.forwarded + spans.rejected + spans.failed, sent);
        assert!(
            spans.rejected > 0 && spans.failed > 0,
            "seed {seed}: {spans:?}"
        );
    }
}

/// Through the exporter of this family, which retries and splits, and through merging.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_arrived_through_an_exporter_that_merges_and_retries() {
    for seed in 11..=13 {
        let backend = MemoryTransport::mix(mix(seed));
        let backoff = Backoff::new()
            .initial(Duration::from_millis(1))
            .max_delay(Duration::from_millis(10));
        let (_processor, exporter) = Exporter::builder()
            .transport(backend.clone())
            .backoff(backoff)
            .build()
            .unwrap();
        let coalesce = CoalesceLayer::new()
            .max_delay(Duration::from_millis(2))
            .max_bytes(300);
        let service = coalesce.layer(exporter.service());
        let server = Server::start(builder().exporter(service).limits(limits())).await;
        run(seed, &backend, &server).await;
    }
}
