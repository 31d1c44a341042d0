//! Batches of others, through the exporter's transport and thread.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tower::ServiceExt;
use towline_otlp::policy::Backoff;
use towline_otlp::{Batch, ExportError, ExportErrorKind, Exporter, PeerStatus, Receipt, Stats};

use crate::support::transport::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(60);

/// So many spans without content.
fn batch(spans: u8) -> Batch {
    let content: Vec<u8> = std::iter::repeat_n([0x12, 0], spans.into())
        .flatten()
        .collect();
    let mut bytes = vec![0x0a, 2 * spans + 2, 0x12, 2 * spans];
    bytes.extend(content);
    Batch::parse(Bytes::from(bytes)).unwrap()
}

fn wait_until(exporter: &Exporter, reached: impl Fn(&Stats) -> bool) {
    let started = std::time::Instant::now();
    while !reached(&exporter.stats()) {
        assert!(started.elapsed() < LONG, "{:?}", exporter.stats());
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_is_the_backend_s() {
    let transport = Scripted::new(|call, _| -> Answer {
        Box::pin(std::future::ready(match call {
            0 => Ok(Receipt::accepted()),
            1 => Ok(Receipt::partial(2, "two are old")),
            _ => Err(ExportError::refused("peer", PeerStatus::Grpc(3))),
        }))
    });
    let (_processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .build()
        .unwrap();
    let service = exporter.service();
    assert_eq!(
        service.clone().oneshot(batch(3)).await.unwrap(),
        Receipt::accepted()
    );
    let receipt = service.clone().oneshot(batch(4)).await.unwrap();
    assert_eq!(receipt, Receipt::partial(2, "two are old"));
    let error = service.oneshot(batch(5)).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Refused(PeerStatus::Grpc(3)));
    let stats = exporter.stats();
    let forwarded = stats.forwarded;
    assert_eq!(
        (
            forwarded.exported,
            forwarded.rejected,
            forwarded.failed,
            forwarded.in_flight
        ),
        (5, 2, 5, 0)
    );
    // The spans of this process are another account.
    assert_eq!((stats.ended, stats.exported), (0, 0));
    assert_eq!(transport.taken(), [batch(3), batch(4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_retried_as_any_batch_is() {
    let transport = Scripted::new(|call, _| -> Answer {
        Box::pin(std::future::ready(match call {
            0 | 1 => Err(ExportError::new(ExportErrorKind::Unreachable, "away")),
            _ => Ok(Receipt::accepted()),
        }))
    });
    let (_processor, exporter) = Exporter::builder()
        .transport(transport.clone())
        .backoff(Backoff::new().initial(Duration::from_millis(1)))
        .build()
        .unwrap();
    exporter.service().oneshot(batch(1)).await.unwrap();
    assert_eq!(
        (transport.calls(), exporter.stats().failed_attempts),
        (3, 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_gives_up_ends_it() {
    let (_processor, exporter) = Exporter::builder()
        .transport(Scripted::hanging())
        .build()
        .unwrap();
    let waiting = tokio::spawn(exporter.service().oneshot(batch(7)));
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 7);
    waiting.abort();
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 0);
    assert_eq!(exporter.stats().forwarded.failed, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_at_once_is_refused_at_once() {
    let (_processor, exporter) = Exporter::builder()
        .transport(Scripted::hanging())
        .service_bytes(2 * batch(5).len_bytes())
        .build()
        .unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| tokio::spawn(exporter.service().oneshot(batch(5))))
        .collect();
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 10);
    let error = exporter.service().oneshot(batch(1)).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Overloaded);
    assert!(error.is_retryable() && error.retry_after().is_some());
    assert_eq!(exporter.stats().forwarded.overloaded, 1);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    // One that is larger than the limit alone is not refused for ever.
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 0);
    let _waiting = tokio::spawn(exporter.service().oneshot(batch(60)));
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_waits_for_it_and_then_refuses() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let closed = Arc::clone(&gate);
    let transport = Scripted::new(move |_, _| -> Answer {
        let gate = Arc::clone(&closed);
        Box::pin(async move {
            drop(gate.acquire().await);
            Ok(Receipt::accepted())
        })
    });
    let (_processor, exporter) = Exporter::builder().transport(transport).build().unwrap();
    let waiting = tokio::spawn(exporter.service().oneshot(batch(2)));
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 2);
    let handle = exporter.clone();
    let shutdown = tokio::spawn(async move { handle.shutdown(LONG).await });
    // Answered behind the shutdown: it is known by now.
    let _ = exporter.flush(LONG).await;
    gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap(), Receipt::accepted());
    let summary = shutdown.await.unwrap().unwrap();
    assert_eq!(summary.stats.forwarded.exported, 2);
    let error = exporter.service().oneshot(batch(1)).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Shutdown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_deadline_of_a_shutdown_whoever_waits_is_told() {
    let (_processor, exporter) = Exporter::builder()
        .transport(Scripted::hanging())
        .build()
        .unwrap();
    let waiting = tokio::spawn(exporter.service().oneshot(batch(2)));
    wait_until(&exporter, |stats| stats.forwarded.in_flight == 2);
    let _ = exporter.shutdown(Duration::from_millis(20)).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Shutdown);
    assert_eq!(exporter.stats().forwarded.failed, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_there_is_a_transport_it_is_refused_for_now() {
    let (_processor, exporter) = Exporter::builder().late_transport().build().unwrap();
    let error = exporter.service().oneshot(batch(1)).await.unwrap_err();
    assert!(error.is_retryable());
    exporter.set_transport(Scripted::accepting()).unwrap();
    exporter.service().oneshot(batch(1)).await.unwrap();
    assert_eq!(
        (
            exporter.stats().forwarded.exported,
            exporter.stats().forwarded.failed
        ),
        (1, 1)
    );
}
