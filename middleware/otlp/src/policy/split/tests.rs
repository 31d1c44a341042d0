use std::sync::Mutex;

use bytes::Bytes;
use tower::service_fn;

use super::*;
use crate::PeerStatus;

/// A batch of spans with names of these lengths.
fn batch(sizes: &[usize]) -> Batch {
    let mut spans = vec![];
    for size in sizes {
        let size = u8::try_from(*size).unwrap();
        spans.extend([0x12, size + 2, 0x2a, size]);
        spans.extend(vec![b'x'; usize::from(size)]);
    }
    let mut bytes = vec![0x0a];
    crate::wire::put_varint(&mut bytes, crate::wire::nested_len(spans.len()) as u64);
    crate::wire::put_len(&mut bytes, 2, spans.len());
    bytes.extend(spans);
    let batch = Batch::parse(Bytes::from(bytes)).unwrap();
    assert_eq!(batch.spans(), sizes.len());
    batch
}

type Sizes = Arc<Mutex<Vec<(usize, usize)>>>;

/// A service that notes length and spans of what it gets, and answers by a function.
fn noting(
    answer: impl Fn(&Batch) -> Result<Receipt, ExportError> + Clone + Send + Sync + 'static,
) -> (
    Sizes,
    impl Service<Batch, Response = Receipt, Error = ExportError, Future: Send> + Clone + Send + 'static,
) {
    let sizes = Sizes::default();
    let noted = Arc::clone(&sizes);
    let service = service_fn(move |batch: Batch| {
        let size = (batch.len_bytes(), batch.spans());
        noted.lock().unwrap().push(size);
        std::future::ready(answer(&batch))
    });
    (sizes, service)
}

fn taken_up_to(bytes: usize) -> impl Fn(&Batch) -> Result<Receipt, ExportError> + Clone {
    move |batch| match batch.len_bytes() {
        len if len <= bytes => Ok(Receipt::accepted()),
        _ => Err(ExportError::new(ExportErrorKind::TooLarge, "too large")),
    }
}

#[tokio::test]
async fn what_fits_goes_as_it_is() {
    let (sizes, service) = noting(taken_up_to(1000));
    let batch = batch(&[10, 20]);
    let receipt = SplitLayer::new()
        .layer(service)
        .oneshot(batch.clone())
        .await;
    assert_eq!(receipt.unwrap(), Receipt::accepted());
    assert_eq!(*sizes.lock().unwrap(), [(batch.len_bytes(), 2)]);
}

#[tokio::test]
async fn a_refusal_is_learned_from() {
    let (sizes, service) = noting(taken_up_to(100));
    let mut service = SplitLayer::new().layer(service);
    let batch = batch(&[40; 8]);
    let receipt = service.ready().await.unwrap().call(batch.clone()).await;
    assert_eq!(receipt.unwrap(), Receipt::accepted());
    let first = std::mem::take(&mut *sizes.lock().unwrap());
    assert_eq!(first[0], (batch.len_bytes(), 8));
    let refused = first.iter().filter(|(len, _)| *len > 100).count();
    assert!(refused > 0 && refused < 5, "{first:?}");
    // The next one goes through at once, by a clone too.
    service.clone().oneshot(batch).await.unwrap();
    let second = sizes.lock().unwrap().clone();
    assert!(second.iter().all(|(len, _)| *len <= 100), "{second:?}");
    assert_eq!(second.iter().map(|(_, spans)| spans).sum::<usize>(), 8);
}

#[tokio::test]
async fn a_span_that_is_too_large_alone_is_told_apart() {
    let (_, service) = noting(taken_up_to(60));
    let receipt = SplitLayer::new()
        .layer(service)
        .oneshot(batch(&[10, 100, 20]))
        .await;
    let receipt = receipt.unwrap();
    assert_eq!(
        (receipt.rejected_spans(), receipt.too_large_spans()),
        (1, 1)
    );
    assert_eq!(receipt.message(), Some("too large"));
    let (_, service) = noting(taken_up_to(60));
    let error = SplitLayer::new()
        .layer(service)
        .oneshot(batch(&[100, 100]))
        .await;
    assert_eq!(error.unwrap_err().kind(), ExportErrorKind::TooLarge);
}

#[tokio::test]
async fn a_guess_splits_and_a_fact_refuses() {
    let (sizes, service) = noting(|_| Ok(Receipt::accepted()));
    let layer = SplitLayer::new().assume(60);
    let receipt = layer.layer(service).oneshot(batch(&[10, 100, 20])).await;
    assert_eq!(receipt.unwrap(), Receipt::accepted());
    assert_eq!(sizes.lock().unwrap().len(), 3);

    let (sizes, service) = noting(|_| Ok(Receipt::accepted()));
    let layer = SplitLayer::new().max_bytes(60);
    let receipt = layer.layer(service).oneshot(batch(&[10, 100, 20])).await;
    assert_eq!(receipt.unwrap().too_large_spans(), 1);
    assert_eq!(sizes.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_answers_of_all_pieces_are_one() {
    let answer = |batch: &Batch| match batch.len_bytes() {
        ..40 => Ok(Receipt::partial(1, "small")),
        40..60 => Ok(Receipt::partial(usize::MAX, "middle")),
        _ => Ok(Receipt::accepted()),
    };
    let (_, service) = noting(answer);
    let layer = SplitLayer::new().assume(50);
    let receipt = layer.layer(service).oneshot(batch(&[10, 45, 100])).await;
    assert_eq!(receipt.unwrap(), Receipt::partial(2, "small"));
}

#[tokio::test]
async fn a_piece_refused_for_good_does_not_keep_the_others() {
    let (sizes, service) = noting(|batch| match batch.len_bytes() {
        ..50 => Ok(Receipt::accepted()),
        _ => Err(ExportError::refused("peer", PeerStatus::Http(400))),
    });
    let layer = SplitLayer::new().assume(50);
    let error = layer
        .layer(service)
        .oneshot(batch(&[10, 100, 20]))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ExportErrorKind::Refused(PeerStatus::Http(400))
    );
    assert_eq!(error.delivered_spans(), 2);
    assert_eq!(sizes.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_backend_that_is_away_is_not_asked_for_each_piece() {
    let (sizes, service) = noting(|batch| match batch.len_bytes() {
        ..50 => Ok(Receipt::accepted()),
        _ => Err(ExportError::new(ExportErrorKind::Unreachable, "away")),
    });
    let layer = SplitLayer::new().assume(50);
    let error = layer
        .layer(service)
        .oneshot(batch(&[10, 100, 20]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Unreachable);
    assert_eq!(error.delivered_spans(), 1);
    assert_eq!(sizes.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_split_is_not_tried_for_ever() {
    let lie = Batch::from_encoded(Bytes::from_static(&[0x0a, 9, 1, 1]), 7);
    let (sizes, service) = noting(taken_up_to(1));
    let error = SplitLayer::new()
        .layer(service)
        .oneshot(lie)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::TooLarge);
    assert_eq!(sizes.lock().unwrap().len(), 1);
}
