//! The transport in memory: by hand, and under an exporter.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

use std::time::Duration;

use futures_util::FutureExt;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use tower_service::Service;
use towline_otlp::{Batch, ExportError, ExportErrorKind, Exporter, PeerStatus, Receipt};
use towline_test_support::transport::{MemoryTransport, Reply};
use towline_test_support::{Gate, Mix, number_of, numbered_span};

fn batch(numbers: impl IntoIterator<Item = u64>) -> Batch {
    let spans: Vec<_> = numbers.into_iter().map(numbered_span).collect();
    Batch::encode(&Resource::builder_empty().build(), &spans)
}

fn accepted(transport: &MemoryTransport) -> Vec<(u64, usize)> {
    sorted(transport.accepted())
}

fn sorted(
    counts: impl IntoIterator<Item = (opentelemetry::trace::SpanId, usize)>,
) -> Vec<(u64, usize)> {
    let counts = counts.into_iter();
    let mut counts: Vec<_> = counts.map(|(id, count)| (number_of(id), count)).collect();
    counts.sort_unstable();
    counts
}

async fn call(transport: &MemoryTransport, batch: Batch) -> Result<Receipt, ExportError> {
    transport.clone().call(batch).await
}

#[tokio::test]
async fn accepts_what_the_reply_takes_and_nothing_else() {
    let transport = MemoryTransport::sequence([
        Reply::ok(),
        Reply::partial(2, "old"),
        Reply::refused(PeerStatus::Grpc(14)).retry_after(Duration::from_secs(9)),
        Reply::error(ExportError::new(ExportErrorKind::Timeout, "late")).after_accepting(),
        Reply::partial(9, "all"),
    ]);
    let receipt = call(&transport, batch(1..=3)).await.unwrap();
    assert_eq!(receipt, Receipt::accepted());
    let receipt = call(&transport, batch(1..=3)).await.unwrap();
    assert_eq!(receipt, Receipt::partial(2, "old"));
    assert_eq!(accepted(&transport), [(1, 2), (2, 1), (3, 1)]);
    let error = call(&transport, batch([4])).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Refused(PeerStatus::Grpc(14)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    assert_eq!(accepted(&transport).len(), 3);
    let error = call(&transport, batch([5])).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Timeout);
    assert_eq!(accepted(&transport)[3], (5, 1));
    let receipt = call(&transport, batch([6])).await.unwrap();
    assert_eq!(receipt, Receipt::partial(1, "all"));
    assert_eq!(sorted(transport.rejected()), [(2, 1), (3, 1), (6, 1)]);
    let batches: Vec<_> = transport
        .attempts()
        .iter()
        .map(|attempt| attempt.batch().spans())
        .collect();
    assert_eq!(batches, [3, 3, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn time_is_tokios() {
    let hour = Duration::from_secs(3600);
    let transport = MemoryTransport::new(move |attempt| match attempt.number() {
        0 => Reply::delayed(hour, Reply::ok()),
        _ => Reply::ok(),
    });
    let start = tokio::time::Instant::now();
    call(&transport, batch([1])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    call(&transport, batch([2])).await.unwrap();
    assert_eq!(transport.gaps(), [hour + Duration::from_millis(1)]);
    let attempts = transport.attempts();
    assert_eq!((attempts[0].at(), attempts[1].number()), (start, 1));
}

#[tokio::test]
async fn what_waits_is_accepted_when_it_waits_no_more() {
    let gate = Gate::new();
    let transport = MemoryTransport::always(Reply::gated(&gate, Reply::ok()));
    let (mut one, mut two) = (transport.clone(), transport.clone());
    let mut first = one.call(batch([1]));
    let mut second = two.call(batch([2]));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    gate.open();
    assert!(accepted(&transport).is_empty());
    second.await.unwrap();
    assert_eq!(accepted(&transport), [(2, 1)]);
    transport.set_always(Reply::hang());
    assert!(call(&transport, batch([3])).now_or_never().is_none());
    assert_eq!(
        (transport.attempts().len(), accepted(&transport).len()),
        (3, 1)
    );
}

#[tokio::test]
#[should_panic(expected = "as scripted")]
async fn a_panic_is_in_the_future() {
    let mut transport = MemoryTransport::always(Reply::panic("as scripted"));
    let future = transport.call(batch([1]));
    assert_eq!(transport.attempts().len(), 1);
    let _ = future.await;
}

/// An exporter over random weather: what it says it exported is what was accepted.
#[test]
fn an_exporter_and_its_transport_agree() {
    let mix = Mix::new(3)
        .weight(4, Reply::ok())
        .weight(2, Reply::partial(1, "one"))
        .weight(1, Reply::refused(PeerStatus::Http(400)))
        .weight(1, Reply::panic("scripted"));
    let transport = MemoryTransport::mix(mix);
    let (processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .build()
        .unwrap();
    for number in 1..=200 {
        processor.on_end(numbered_span(number));
        if number % 5 == 0 {
            // Spans that a reply lost are an error of the flush: they are what this is about.
            let _ = exporter.blocking_flush(Duration::from_secs(20));
        }
    }
    let _ = exporter.blocking_shutdown(Duration::from_secs(20));
    let stats = exporter.stats();
    let accepted = accepted(&transport);
    assert_eq!(stats.ended, 200);
    assert_eq!(stats.exported, accepted.len() as u64);
    assert!((50..200).contains(&accepted.len()), "{}", accepted.len());
    assert!(accepted.iter().all(|(_, count)| *count == 1));
}
