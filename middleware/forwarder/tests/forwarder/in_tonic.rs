//! Beside the services of a tonic server.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::stream::{Stream, unfold};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tower::{Service, ServiceExt};
use towline_forwarder::Identity;
use towline_otlp::{Batch, Grpc};
use towline_test_support::transport::MemoryTransport;

use crate::support::{builder, request, tonic_request};

/// A service of the user's.
#[derive(Clone)]
struct Auth;

impl NamedService for Auth {
    const NAME: &'static str = "proto.AuthService";
}

impl Service<http::Request<tonic::body::Body>> for Auth {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: http::Request<tonic::body::Body>) -> Self::Future {
        let status = tonic::Status::data_loss("mine");
        ready(Ok(status.into_http()))
    }
}

/// In a tonic server: by its name, and RFD 65's method before a service of the user's own with the
/// same name.
#[tokio::test]
async fn in_a_tonic_server_beside_other_services() {
    let backend = MemoryTransport::accepting();
    let authorize = |_: &http::request::Parts| Ok(Identity::new("x")?);
    let forwarder = builder()
        .exporter(backend.clone())
        .authorize(authorize)
        .build();
    let router = Routes::new(Auth)
        .add_service(forwarder.grpc())
        .into_axum_router()
        .route_service("/proto.AuthService/ExportSpan", forwarder.grpc());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes: Routes = router.into();
    let server = Server::builder().add_routes(routes);
    tokio::spawn(server.serve_with_incoming(incoming(listener)));

    let url = format!("http://{address}");
    let channel = Channel::from_shared(url).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = TraceServiceClient::new(channel.clone());
    client.export(tonic_request(request([1]))).await.unwrap();

    let batch = Batch::parse(request([2]).encode_to_vec()).unwrap();
    let grpc = Grpc::with_client(channel, http::Uri::from_static("/"));
    let method = PathAndQuery::from_static;
    let export_span = grpc
        .clone()
        .with_method(method("/proto.AuthService/ExportSpan"));
    export_span.oneshot(batch.clone()).await.unwrap();
    assert_eq!(backend.accepted().len(), 2);

    let other = grpc.with_method(method("/proto.AuthService/Other"));
    let error = other.oneshot(batch).await.unwrap_err();
    assert!(error.to_string().contains("DATA_LOSS"), "{error}");
    assert_eq!(forwarder.stats().requests.received, 2);
}

/// A listener as the stream that tonic wants.
fn incoming(listener: TcpListener) -> impl Stream<Item = std::io::Result<TcpStream>> {
    unfold(listener, |listener| async move {
        let stream = listener.accept().await.map(|(stream, _)| stream);
        Some((stream, listener))
    })
}
