//! A side that stops granting window stalls the other, with and without the layers alike.
//!
//! In memory and on a paused clock: a timer fires when nothing else is left to do, which is when
//! whoever can be stalled is.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tower::{BoxError, Service, service_fn};
use towline_test_support::TestTracing;

use super::proxy;

/// More than all windows and buffers on the way together.
const BYTES: usize = 4 << 20;

const WINDOW: u32 = 65_535;

#[tokio::test(start_paused = true)]
async fn a_client_that_grants_no_window_stalls_the_server() {
    let tracing = TestTracing::always();
    let with = stalls(Some(&tracing), Way::Response).await;
    let without = stalls(None, Way::Response).await;
    assert_eq!(with, without);
    assert_eq!(tracing.finished().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_grants_no_window_stalls_the_client() {
    let tracing = TestTracing::always();
    let with = stalls(Some(&tracing), Way::Request).await;
    let without = stalls(None, Way::Request).await;
    assert_eq!(with, without);
    assert_eq!(tracing.finished().len(), 2);
}

/// Which way the messages go.
#[derive(Clone, Copy)]
enum Way {
    Request,
    Response,
}

/// Lets one side of a bidi stream send all it can while the other reads nothing, and then read all.
/// Answers how many bytes were on their way when nothing moved any more.
async fn stalls(tracing: Option<&TestTracing>, way: Way) -> usize {
    let (client_io, server_io) = through_a_proxy(tracing).await;
    let (mut send, connection) = h2::client::handshake(client_io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://service.test/a.B/C").body(()).unwrap();
    let (response, request_body) = send.send_request(request, false).unwrap();

    let mut server = h2::server::handshake(server_io).await.unwrap();
    let (request, mut respond) = server.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while server.accept().await.is_some() {} });
    let response_body = respond.send_response(Response::new(()), false).unwrap();
    let response = response.await.unwrap();

    let (to, mut from, mut back) = match way {
        Way::Request => (request_body, request.into_body(), response_body),
        Way::Response => (response_body, response.into_body(), request_body),
    };
    let (sent, progress) = watch::channel(0);
    tokio::spawn(pour(to, sent));
    settled().await;
    let stalled = *progress.borrow();
    settled().await;
    assert_eq!(*progress.borrow(), stalled, "it goes on");
    assert!(
        stalled > 0 && stalled < BYTES,
        "{stalled} bytes sent before it stalls"
    );

    let (mut received, mut reads) = (0, 0);
    while let Some(data) = from.data().await {
        let data = data.unwrap();
        received += data.len();
        release(&mut from, data.len());
        reads += 1;
        if reads == 1 {
            // A little room is made, and a little is sent.
            settled().await;
            assert!(*progress.borrow() < BYTES);
        }
    }
    assert_eq!(received, BYTES);
    assert_eq!(*progress.borrow(), BYTES);
    // The other way is still open.
    back.send_data(Bytes::new(), true).unwrap();
    settled().await;
    stalled
}

/// Sends as much as there is window for, and says how much.
async fn pour(mut to: SendStream<Bytes>, sent: watch::Sender<usize>) {
    let mut left = BYTES;
    while left > 0 {
        to.reserve_capacity(left.min(16 * 1024));
        let room = poll_fn(|cx| to.poll_capacity(cx)).await.unwrap().unwrap();
        left -= room;
        to.send_data(Bytes::from(vec![0; room]), left == 0).unwrap();
        sent.send_replace(BYTES - left);
    }
}

fn release(from: &mut RecvStream, bytes: usize) {
    from.flow_control().release_capacity(bytes).unwrap();
}

/// Ready when nothing else can go on.
async fn settled() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// The two ends of a proxy in memory.
async fn through_a_proxy(tracing: Option<&TestTracing>) -> (DuplexStream, DuplexStream) {
    let (client_io, near) = tokio::io::duplex(16 * 1024);
    let (far, server_io) = tokio::io::duplex(16 * 1024);
    let tracing = tracing.cloned();
    tokio::spawn(async move {
        let (send, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(far))
            .await
            .unwrap();
        tokio::spawn(connection);
        let client =
            service_fn(move |request: Request<Incoming>| send.clone().send_request(request));
        let backend = "service.test".parse().unwrap();
        serve(near, proxy(tracing.as_ref(), backend, client));
    });
    (client_io, server_io)
}

/// Serves one connection.
fn serve<S, B>(io: DuplexStream, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    tokio::spawn(async move { connection.await.unwrap() });
}
