//! Merged batches: what is sent, and what everybody is told.

use std::time::Duration;

use prost::Message;
use tower::{Layer, Service, ServiceExt};
use towline_forwarder::{Coalesce, CoalesceLayer};
use towline_otlp::{Batch, ExportError, ExportErrorKind, PeerStatus, Receipt};
use towline_test_support::Gate;
use towline_test_support::transport::{MemoryTransport, Reply};

use crate::support::request;

type Answer = Result<Receipt, ExportError>;

fn batch(numbers: impl IntoIterator<Item = u64>) -> Batch {
    Batch::parse(request(numbers).encode_to_vec()).unwrap()
}

/// Sends them at the same time.
async fn send(coalesce: &Coalesce<MemoryTransport>, batches: &[Batch]) -> Vec<Answer> {
    let mut coalesce = coalesce.clone();
    let calls: Vec<_> = batches
        .iter()
        .map(|batch| coalesce.call(batch.clone()))
        .collect();
    let mut answers = vec![];
    for call in calls {
        answers.push(call.await);
    }
    answers
}

/// How many spans there were in each attempt.
fn sizes(backend: &MemoryTransport) -> Vec<usize> {
    let attempts = backend.attempts();
    attempts
        .iter()
        .map(|attempt| attempt.batch().spans())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_goes_together() {
    let backend = MemoryTransport::always(Reply::partial(0, "a warning"));
    let coalesce = CoalesceLayer::new().layer(backend.clone());
    let answers = send(&coalesce, &[batch([1]), batch([2, 3]), batch([4])]).await;
    for answer in answers {
        // Whose spans the warning is about is not known.
        assert_eq!(answer.unwrap(), Receipt::accepted());
    }
    assert_eq!(sizes(&backend), [4]);
    assert_eq!(backend.accepted().len(), 4);
    // And the next ones by themselves.
    let answer = send(&coalesce, &[batch([5])]).await.remove(0);
    assert_eq!(answer.unwrap(), Receipt::partial(0, "a warning"));
    assert_eq!(sizes(&backend), [4, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_no_longer_than_it_may() {
    let backend = MemoryTransport::accepting();
    let delay = Duration::from_millis(30);
    let coalesce = CoalesceLayer::new().max_delay(delay).layer(backend.clone());
    let start = tokio::time::Instant::now();
    let mut first = coalesce.clone();
    let first = tokio::spawn(first.call(batch([1])));
    tokio::time::sleep(delay / 2).await;
    let second = send(&coalesce, &[batch([2])]).await;
    assert!(second[0].is_ok() && first.await.unwrap().is_ok());
    assert_eq!(sizes(&backend), [2]);
    let waited = backend.attempts()[0].at() - start;
    assert!(waited < delay + Duration::from_millis(5), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_merged_batch_is_never_larger_than_the_limit() {
    let backend = MemoryTransport::accepting();
    let len = batch([1]).len_bytes();
    let layer = CoalesceLayer::new().max_bytes(3 * len);
    let coalesce = layer.layer(backend.clone());
    let batches: Vec<Batch> = (1..=8).map(|number| batch([number])).collect();
    for answer in send(&coalesce, &batches).await {
        answer.unwrap();
    }
    let attempts = backend.attempts();
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.batch().len_bytes() <= 3 * len)
    );
    let mut sizes = sizes(&backend);
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 3, 3]);
    // What is as large alone does not wait.
    let start = tokio::time::Instant::now();
    send(&coalesce, &[batch(10..20)]).await.remove(0).unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn each_is_told_the_truth() {
    let refuse = |status| Reply::refused(status);
    let fail = |kind| Reply::error(ExportError::new(kind, "no"));
    for (reply, is_shared) in [
        (fail(ExportErrorKind::Unreachable), true),
        (fail(ExportErrorKind::Timeout), true),
        (fail(ExportErrorKind::Overloaded), true),
        (fail(ExportErrorKind::Shutdown), true),
        (fail(ExportErrorKind::InvalidResponse), true),
        (fail(ExportErrorKind::Unimplemented), true),
        (refuse(PeerStatus::Grpc(14)), true),
        (refuse(PeerStatus::Grpc(16)), true),
        (refuse(PeerStatus::Http(403)), true),
        (refuse(PeerStatus::Http(503)), true),
        (fail(ExportErrorKind::TooLarge), false),
        (fail(ExportErrorKind::InvalidBatch), false),
        (fail(ExportErrorKind::Other), false),
        (refuse(PeerStatus::Grpc(3)), false),
        (refuse(PeerStatus::Grpc(13)), false),
        (refuse(PeerStatus::Http(400)), false),
        (refuse(PeerStatus::Http(413)), false),
    ] {
        let bad = reply.clone();
        // What has span 13 in it gets the answer, as does all that it is merged with.
        let backend = MemoryTransport::new(move |attempt| {
            let spans = &attempt.request().resource_spans;
            let has_13 = spans.iter().any(|resource| {
                let spans = &resource.scope_spans[0].spans;
                spans.iter().any(|span| span.span_id[7] == 13)
            });
            if has_13 { bad.clone() } else { Reply::ok() }
        });
        let coalesce = CoalesceLayer::new().layer(backend.clone());
        let batches = [batch([1, 2]), batch([13]), batch([4])];
        let answers = send(&coalesce, &batches).await;
        let is_ok: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        if is_shared {
            assert_eq!(is_ok, [false; 3], "{reply:?}");
            assert_eq!(sizes(&backend), [4], "{reply:?}");
            assert!(backend.accepted().is_empty());
        } else {
            assert_eq!(is_ok, [true, false, true], "{reply:?}");
            assert_eq!(backend.accepted().len(), 3);
            assert!(backend.accepted().values().all(|times| *times == 1));
        }
        let error = answers[1].as_ref().unwrap_err();
        assert_eq!(error.delivered_spans(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn when_some_are_refused_each_is_asked_about_alone() {
    // The last span of whatever comes.
    let backend = MemoryTransport::always(Reply::partial(1, "old"));
    let coalesce = CoalesceLayer::new().layer(backend.clone());
    let answers = send(&coalesce, &[batch([1, 2]), batch([3])]).await;
    for answer in answers {
        assert_eq!(answer.unwrap(), Receipt::partial(1, "old"));
    }
    assert_eq!(sizes(&backend)[0], 3);
    assert_eq!(backend.attempts().len(), 3);
    // What arrived twice is what OTLP allows; what was acknowledged arrived.
    let accepted = backend.accepted();
    assert!(accepted.contains_key(&opentelemetry::trace::SpanId::from(1)));

    // For a while nobody is merged, and then they are again.
    send(&coalesce, &[batch([4, 5]), batch([6])]).await;
    assert_eq!(sizes(&backend)[3..].iter().sum::<usize>(), 3);
    assert_eq!(backend.attempts().len(), 5);
    tokio::time::advance(Duration::from_secs(61)).await;
    backend.set_always(Reply::ok());
    send(&coalesce, &[batch([7, 8]), batch([9])]).await;
    assert_eq!(sizes(&backend)[5..], [3]);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_refused_each_knows_how_many_were_its_own() {
    let backend = MemoryTransport::always(Reply::partial(3, "span 3 of bob's is old"));
    let coalesce = CoalesceLayer::new().layer(backend.clone());
    let answers = send(&coalesce, &[batch([1, 2]), batch([3])]).await;
    for (answer, rejected) in answers.into_iter().zip([2, 1]) {
        let receipt = answer.unwrap();
        assert_eq!(receipt.rejected_spans(), rejected);
        assert!(!receipt.message().unwrap().contains("bob"));
    }
    assert_eq!(backend.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_the_largest_size_does_not_wait() {
    let backend = MemoryTransport::accepting();
    let len = batch([1]).len_bytes();
    let coalesce = CoalesceLayer::new().max_bytes(len).layer(backend.clone());
    let start = tokio::time::Instant::now();
    send(&coalesce, &[batch([1])]).await.remove(0).unwrap();
    assert_eq!(tokio::time::Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_was_sent_early_does_not_cut_the_next_one_short() {
    let backend = MemoryTransport::accepting();
    let (delay, len) = (Duration::from_millis(30), batch([1]).len_bytes());
    let layer = CoalesceLayer::new().max_delay(delay).max_bytes(3 * len);
    let mut coalesce = layer.layer(backend.clone());
    let first = coalesce.call(batch([1, 2]));
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Too much together: the first goes, and another collection begins.
    let second = coalesce.call(batch([3, 4]));
    first.await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let third = coalesce.call(batch([5]));
    second.await.unwrap();
    third.await.unwrap();
    assert_eq!(sizes(&backend), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn when_to_come_back_is_told_to_all() {
    let later = Duration::from_secs(7);
    let reply = Reply::refused(PeerStatus::Grpc(14)).retry_after(later);
    let coalesce = CoalesceLayer::new().layer(MemoryTransport::always(reply));
    for answer in send(&coalesce, &[batch([1]), batch([2])]).await {
        assert_eq!(answer.unwrap_err().retry_after(), Some(later));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_is_left_out() {
    let backend = MemoryTransport::accepting();
    let coalesce = CoalesceLayer::new().layer(backend.clone());
    let mut caller = coalesce.clone();
    let gone = caller.call(batch([1]));
    let stays = caller.call(batch([2]));
    drop(gone);
    stays.await.unwrap();
    assert_eq!(sizes(&backend), [1]);
    let all_gone = caller.call(batch([3]));
    drop(all_gone);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sizes(&backend), [1]);
}

#[tokio::test]
async fn when_all_have_left_nobody_tries_any_more() {
    // Whoever leaves first.
    for is_first in [true, false] {
        let gate = Gate::new();
        let backend = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
        let coalesce = CoalesceLayer::new().layer(backend.clone());
        let mut caller = coalesce.clone();
        let (one, two) = (caller.call(batch([1])), caller.call(batch([2])));
        let (leaves, stays) = if is_first { (one, two) } else { (two, one) };
        while gate.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(leaves);
        // Whoever would give up now has a turn, many times over.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.waiting(), 1);
        drop(stays);
        while gate.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(backend.accepted().is_empty());
    }
}

#[tokio::test]
async fn a_backend_that_panics_is_an_error_for_all() {
    let backend = MemoryTransport::always(Reply::panic("meant to be"));
    let coalesce = CoalesceLayer::new().layer(backend);
    for answer in send(&coalesce, &[batch([1]), batch([2])]).await {
        assert_eq!(answer.unwrap_err().kind(), ExportErrorKind::Other);
    }
    // Not for good.
    let answer = coalesce.oneshot(batch([3])).await;
    assert_eq!(answer.unwrap_err().kind(), ExportErrorKind::Other);
}

/// How many of all were delivered says nothing about whose they were.
#[tokio::test(start_paused = true)]
async fn what_was_delivered_of_all_is_not_told_to_each() {
    let backend = MemoryTransport::new(|attempt| {
        let first = attempt.request().resource_spans[0].scope_spans[0].spans[0].span_id[7];
        match (attempt.batch().spans(), first) {
            (1, 1) => Reply::ok(),
            (1, _) => Reply::refused(PeerStatus::Http(401)),
            _ => Reply::error(ExportError::new(ExportErrorKind::TooLarge, "split it")),
        }
    });
    let inner = towline_otlp::policy::SplitLayer::new().layer(backend.clone());
    let merged = batch([1, 2, 3]);
    let whole = inner.clone().oneshot(merged).await.unwrap_err();
    assert_eq!(whole.delivered_spans(), 1);
    let mut coalesce = CoalesceLayer::new().layer(inner);
    let calls = [coalesce.call(batch([1])), coalesce.call(batch([2, 3]))];
    for call in calls {
        let error = call.await.unwrap_err();
        assert_eq!(
            error.kind(),
            ExportErrorKind::Refused(PeerStatus::Http(401))
        );
        assert_eq!(error.delivered_spans(), 0);
    }
}
