//! Connections that end when nobody looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;
use towline_otlp::{Batch, BoxTransport, Endpoint, ExportErrorKind, Receipt};

use crate::support::collector::{GrpcCollector, Server};
use crate::support::front::forward;
use crate::support::spans::span;

fn batch() -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(0)])
}

/// The client finds the connection in its pool and does not know yet that it is gone.
#[tokio::test]
async fn a_request_on_a_connection_that_has_just_been_closed_goes_over_another() {
    let (close, to_close) = tokio::sync::watch::channel(0);
    let (closed, is_closed) = mpsc::channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let server = Server::start_connections(move |mut stream| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let (mut to_close, closed) = (to_close.clone(), closed.clone());
        async move {
            // The whole request comes at once.
            let _ = stream.read(&mut [0; 65_536]).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = to_close.wait_for(|&last| last >= number).await;
            drop(stream);
            let _ = closed.send(());
        }
    });
    let endpoint = Endpoint::parse(&format!("http://{}", server.address())).unwrap();
    let transport = BoxTransport::connect(&endpoint).unwrap();
    for number in 1..=10 {
        let receipt = transport.clone().oneshot(batch()).await.unwrap();
        assert_eq!(receipt, Receipt::accepted());
        assert_eq!(connections.load(Ordering::SeqCst), number);
        // Back into the pool.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // Only this thread could see that the connection ends, and it waits here.
        close.send(number).unwrap();
        is_closed.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}

#[tokio::test]
async fn a_grpc_connection_that_dies_is_made_anew() {
    let collector = GrpcCollector::accepting();
    let target = collector.address();
    let (kill, _) = tokio::sync::broadcast::channel::<()>(1);
    let killed = kill.clone();
    let (dead, is_dead) = mpsc::channel();
    let server = Server::start_connections(move |stream| {
        let (mut killed, dead) = (killed.subscribe(), dead.clone());
        async move {
            tokio::select! {
                () = forward(stream, target) => {}
                _ = killed.recv() => {}
            }
            let _ = dead.send(());
        }
    });
    let endpoint = Endpoint::parse(&server.address().to_string()).unwrap();
    let transport = BoxTransport::connect(&endpoint).unwrap();
    for round in 1..=3 {
        // It may be noticed only by the call: then that one fails, and the next does not.
        let mut result = transport.clone().oneshot(batch()).await;
        if let Err(error) = &result {
            assert_eq!(error.kind(), ExportErrorKind::Unreachable);
            result = transport.clone().oneshot(batch()).await;
        }
        assert_eq!(result.unwrap(), Receipt::accepted());
        assert_eq!(collector.requests().len(), round);
        kill.send(()).unwrap();
        is_dead.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
