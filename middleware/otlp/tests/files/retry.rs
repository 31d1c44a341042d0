//! A disk that is slower than an attempt may take.

use std::sync::mpsc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tower::ServiceExt;
use towline_otlp::{Batch, File};

use crate::read::{self, FORMATS};
use crate::support::spans::span;

/// A runtime with a single thread that writes, which is busy until it is told otherwise.
fn busy() -> (tokio::runtime::Runtime, mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let (release, wait) = mpsc::channel();
    runtime.spawn_blocking(move || wait.recv().unwrap());
    (runtime, release)
}

/// An attempt that nobody waits for any more.
async fn give_up(file: &File, batch: &Batch) {
    let attempt = file.clone().oneshot(batch.clone());
    tokio::time::timeout(Duration::from_millis(1), attempt)
        .await
        .unwrap_err();
}

fn batch() -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(0)])
}

#[test]
fn a_batch_that_is_tried_again_is_written_once() {
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let file = File::builder(directory.path())
            .format(format)
            .build()
            .unwrap();
        let (runtime, release) = busy();
        let batch = batch();
        runtime.block_on(async {
            for _ in 0..3 {
                give_up(&file, &batch).await;
            }
            let last = tokio::spawn(file.clone().oneshot(batch.clone()));
            tokio::task::yield_now().await;
            release.send(()).unwrap();
            last.await.unwrap().unwrap();
        });
        assert_eq!(read::spans(directory.path()).len(), 1, "{format}");
        // Once more on purpose is once more.
        read::write(&file, [batch]).unwrap();
        assert_eq!(read::spans(directory.path()).len(), 2, "{format}");
    }
}

#[test]
fn a_batch_that_was_given_up_before_its_turn_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::new(directory.path()).unwrap();
    let (runtime, release) = busy();
    runtime.block_on(async {
        give_up(&file, &batch()).await;
        release.send(()).unwrap();
        // In turn behind it.
        file.clone().oneshot(batch()).await.unwrap();
    });
    assert_eq!(read::spans(directory.path()).len(), 1);
}
