//! What a client makes of a server that resets the stream, or the connection.

use std::future::ready;

use h2::Reason;
use http::Response;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tower::{Layer, service_fn};
use towline_grpc::client;
use towline_span::Outcome::{self, Completed, Failed};
use towline_test_support::{TestTracing, assert_outcome, text_attribute};

use crate::conversation::{Kind, Raw};
use crate::network::hyper_client;

/// What the server does instead of answering.
#[derive(Clone, Copy, Debug)]
enum Instead {
    /// `RST_STREAM` before the head.
    Reset(Reason),
    /// `RST_STREAM` after the head.
    ResetMidway(Reason),
    /// `GOAWAY`, and the connection is closed.
    GoAway(Reason),
}

use Instead::{GoAway, Reset, ResetMidway};

const ROWS: &[(Instead, &str, Outcome)] = &[
    (Reset(Reason::NO_ERROR), "INTERNAL", Failed),
    (Reset(Reason::PROTOCOL_ERROR), "INTERNAL", Failed),
    (Reset(Reason::INTERNAL_ERROR), "INTERNAL", Failed),
    (Reset(Reason::REFUSED_STREAM), "UNAVAILABLE", Failed),
    (Reset(Reason::CANCEL), "CANCELLED", Failed),
    (
        Reset(Reason::ENHANCE_YOUR_CALM),
        "RESOURCE_EXHAUSTED",
        Failed,
    ),
    (
        Reset(Reason::INADEQUATE_SECURITY),
        "PERMISSION_DENIED",
        Failed,
    ),
    // hyper takes it for the end of the body, and then there is no status.
    (ResetMidway(Reason::NO_ERROR), "UNKNOWN", Completed),
    (ResetMidway(Reason::INTERNAL_ERROR), "INTERNAL", Failed),
    (ResetMidway(Reason::REFUSED_STREAM), "UNAVAILABLE", Failed),
    (ResetMidway(Reason::CANCEL), "CANCELLED", Failed),
    (
        ResetMidway(Reason::ENHANCE_YOUR_CALM),
        "RESOURCE_EXHAUSTED",
        Failed,
    ),
    (GoAway(Reason::NO_ERROR), "UNAVAILABLE", Failed),
    (GoAway(Reason::INTERNAL_ERROR), "UNAVAILABLE", Failed),
    (GoAway(Reason::ENHANCE_YOUR_CALM), "UNAVAILABLE", Failed),
];

#[tokio::test]
async fn the_reason_becomes_the_status_as_grpc_says() {
    for (instead, code, outcome) in ROWS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            // A client may try again on another connection.
            while let Ok((connection, _peer)) = listener.accept().await {
                tokio::spawn(serve(connection, *instead));
            }
        });
        let tracing = TestTracing::always();
        let layer = client::TraceLayer::from_spans(tracing.spans());
        let mut grpc = Grpc::with_origin(layer.layer(hyper_client()), uri.parse().unwrap());
        let (metadata, codec) = (MetadataMap::new(), Raw::default());
        let result = Kind::ServerStream.converse(&mut grpc, &metadata, &codec);
        result.await.unwrap_err();

        let span = tracing.only();
        let found = text_attribute(&span, "rpc.response.status_code");
        assert_eq!(
            found.as_deref(),
            Some(*code),
            "{instead:?} {:?}",
            span.status
        );
        assert_outcome(&span, *outcome);
    }
}

async fn serve(mut connection: TcpStream, instead: Instead) {
    if let GoAway(reason) = instead {
        return go_away(&mut connection, reason).await;
    }
    let mut connection = h2::server::handshake(connection).await.unwrap();
    let Some(Ok((_request, mut respond))) = connection.accept().await else {
        return;
    };
    match instead {
        Reset(reason) => respond.send_reset(reason),
        ResetMidway(reason) => {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(bytes::Bytes::from_static(b"\0\0\0\0\x01m"), false)
                .unwrap();
            // What has been sent goes out before the reset, which would drop it.
            tokio::select! {
                biased;
                _ = connection.accept() => {}
                () = tokio::task::yield_now() => {}
            }
            body.send_reset(reason);
        }
        GoAway(_) => unreachable!("that is not about the stream"),
    }
    while connection.accept().await.is_some() {}
}

/// Waits for a request and sends `GOAWAY` for all, by hand: h2 would leave those out that it has seen.
async fn go_away(connection: &mut TcpStream, reason: Reason) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 0x4, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 0x1;
    connection.write_all(&SETTINGS).await.unwrap();
    let mut preface = [0; 24];
    connection.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS {
            break;
        }
    }
    let mut frame = vec![0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame.extend(u32::from(reason).to_be_bytes());
    connection.write_all(&frame).await.unwrap();
    // The client closes the connection when it has nothing left on it.
    drop(connection.read_to_end(&mut Vec::new()).await);
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_unavailable() {
    let tracing = TestTracing::always();
    let connector =
        service_fn(|_target: http::Uri| ready(Err::<TokioIo<TcpStream>, _>(std::fmt::Error)));
    let client = Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let client = client::TraceLayer::from_spans(tracing.spans()).layer(client);
    let origin = "http://service.test".parse().unwrap();
    let (metadata, codec) = (MetadataMap::new(), Raw::default());
    let mut grpc = Grpc::with_origin(client, origin);
    let result = Kind::Unary.converse(&mut grpc, &metadata, &codec).await;
    result.unwrap_err();
    let span = tracing.only();
    let found = text_attribute(&span, "rpc.response.status_code");
    assert_eq!(found.as_deref(), Some("UNAVAILABLE"), "{:?}", span.status);
}
