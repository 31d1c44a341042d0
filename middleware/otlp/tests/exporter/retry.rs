//! Batches are sent again exactly when OTLP says so, and not for ever.

use std::time::Duration;

use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt};
use towline_otlp::policy::{Backoff, RetryLayer, TimeoutLayer};
use towline_otlp::{Batch, ExportError, ExportErrorKind, PeerStatus, Receipt};

use crate::support::transport::Scripted;

const SECOND: Duration = Duration::from_secs(1);

/// Sends one batch to a backend that always fails like this; gives the times of the attempts. Time
/// is paused: nothing takes any but the delays.
async fn attempts(backoff: Backoff, error: ExportError) -> Vec<Duration> {
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (started, seen) = (Instant::now(), std::sync::Arc::clone(&times));
    let transport = Scripted::new(move |_, _| {
        seen.lock().unwrap().push(started.elapsed());
        Box::pin(std::future::ready(Err(error.clone())))
    });
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(backoff))
        .service(transport);
    service.oneshot(Batch::default()).await.unwrap_err();
    std::mem::take(&mut *times.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn grpc_statuses_are_retried_by_the_table() {
    for code in 0..17 {
        let error = ExportError::refused("peer", PeerStatus::Grpc(code));
        let retried = attempts(Backoff::new(), error.clone()).await.len() > 1;
        assert_eq!(retried, [1, 4, 10, 11, 14, 15].contains(&code), "{code}");
        // RESOURCE_EXHAUSTED with a delay is the one that changes.
        let retried = attempts(Backoff::new(), error.with_retry_after(SECOND))
            .await
            .len()
            > 1;
        assert_eq!(retried, [1, 4, 8, 10, 11, 14, 15].contains(&code), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn http_statuses_are_retried_by_the_table() {
    for status in 100..600 {
        let expected = [429, 502, 503, 504].contains(&status);
        let error = ExportError::refused("peer", PeerStatus::Http(status));
        let times = attempts(Backoff::new(), error.clone()).await;
        assert_eq!(times.len() > 1, expected, "{status}");
        // A delay is kept, and makes nothing retryable.
        let times = attempts(Backoff::new(), error.with_retry_after(9 * SECOND)).await;
        assert_eq!(times.len() > 1, expected, "{status}");
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= 9 * SECOND, "{status}: {times:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_failures_are_retried_where_a_retry_can_help() {
    for (kind, expected) in [
        (ExportErrorKind::Unreachable, true),
        (ExportErrorKind::Timeout, true),
        (ExportErrorKind::Io, true),
        (ExportErrorKind::TooLarge, false),
        (ExportErrorKind::InvalidResponse, false),
        (ExportErrorKind::InvalidBatch, false),
        (ExportErrorKind::Shutdown, false),
        (ExportErrorKind::Other, false),
    ] {
        let retried = attempts(Backoff::new(), ExportError::new(kind, "made up"))
            .await
            .len()
            > 1;
        assert_eq!(retried, expected, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn delays_grow_and_end_within_the_time_in_all() {
    for _ in 0..20 {
        let times = attempts(
            Backoff::new(),
            ExportError::new(ExportErrorKind::Unreachable, ""),
        )
        .await;
        assert!((5..=13).contains(&times.len()), "{times:?}");
        assert!(times.iter().all(|time| *time < 60 * SECOND), "{times:?}");
        for (index, pair) in times.windows(2).enumerate() {
            let middle = 1.5f64.powi(index as i32).min(30.0);
            let delay = (pair[1] - pair[0]).as_secs_f64();
            assert!(
                delay >= middle * 0.5 - 0.002 && delay <= middle * 1.5 + 0.002,
                "{times:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_says_when_to_come_back_within_reason() {
    let busy = ExportError::refused("peer", PeerStatus::Http(503));
    let times = attempts(Backoff::new(), busy.clone().with_retry_after(7 * SECOND)).await;
    assert!(times[1] >= 7 * SECOND && times[1] < 8 * SECOND, "{times:?}");
    let times = attempts(Backoff::new(), busy.with_retry_after(Duration::MAX)).await;
    assert!(
        times[1] >= 30 * SECOND && times[1] < 31 * SECOND,
        "{times:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_batch_begins_with_its_first_attempt() {
    let transport = Scripted::failing(ExportError::new(ExportErrorKind::Unreachable, ""));
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::new(Backoff::new()))
        .service(transport.clone());
    for _ in 0..3 {
        let before = transport.calls();
        // A service that idles between two batches does not take it out of the time of the second.
        tokio::time::sleep(600 * SECOND).await;
        service.ready().await.unwrap();
        tower::Service::call(&mut service, Batch::default())
            .await
            .unwrap_err();
        assert!(transport.calls() > before + 3);
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_time() {
    let transport = Scripted::new(|call, _| match call {
        0..3 => Box::pin(std::future::pending()),
        _ => Box::pin(std::future::ready(Ok(Receipt::accepted()))),
    });
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(Backoff::new()))
        .layer(TimeoutLayer::new(10 * SECOND))
        .service(transport.clone());
    let started = Instant::now();
    assert_eq!(
        service.oneshot(Batch::default()).await.unwrap(),
        Receipt::accepted()
    );
    assert_eq!(transport.calls(), 4);
    assert!(started.elapsed() > 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_success_in_part_is_a_success() {
    let transport =
        Scripted::new(|_, _| Box::pin(std::future::ready(Ok(Receipt::partial(1, "one is bad")))));
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(Backoff::new()))
        .service(transport.clone());
    assert_eq!(
        service
            .oneshot(Batch::default())
            .await
            .unwrap()
            .rejected_spans(),
        1
    );
    assert_eq!(transport.calls(), 1);
}
