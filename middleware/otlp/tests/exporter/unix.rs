//! gRPC over unix sockets.

use std::os::unix::net::UnixListener;
use std::path::Path;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanProcessor;
use tower::ServiceExt;
use towline_otlp::{
    Batch, BoxTransport, Endpoint, ExportErrorKind, Exporter, Grpc, Receipt, TransportErrorKind,
};

use crate::support::collector::{GrpcCollector, Server};
use crate::support::front::forward;
use crate::support::spans::span;

fn batch() -> Batch {
    Batch::encode(&Resource::builder_empty().build(), [&span(0)])
}

/// A socket in front of a collector.
fn serve(listener: UnixListener, collector: &GrpcCollector) -> Server {
    let address = collector.address();
    Server::start(move |_| async move {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(stream, address));
        }
    })
}

fn url(path: &Path) -> String {
    format!("unix://{}", path.display().to_string().replace(' ', "%20"))
}

#[tokio::test]
async fn spans_go_through_a_socket_whatever_its_path() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["plain.sock", "a path with spaces.sock"] {
        let path = directory.path().join(name);
        let collector = GrpcCollector::accepting();
        let _server = serve(UnixListener::bind(&path).unwrap(), &collector);
        for url in [url(&path), url(&path).replace("unix://", "unix:")] {
            let endpoint = Endpoint::parse(&url).unwrap();
            let grpc = Grpc::new(&endpoint).unwrap();
            assert_eq!(grpc.origin(), "http://localhost/");
            assert_eq!(grpc.oneshot(batch()).await.unwrap(), Receipt::accepted());
        }
        assert_eq!(collector.requests().len(), 2);
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn spans_go_through_an_abstract_socket() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = format!("towline otlp {}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let collector = GrpcCollector::accepting();
    let _server = serve(UnixListener::bind_addr(&address).unwrap(), &collector);
    let url = format!("unix-abstract:{}", name.replace(' ', "%20"));
    let transport = BoxTransport::connect(&Endpoint::parse(&url).unwrap()).unwrap();
    transport.oneshot(batch()).await.unwrap();
    assert_eq!(collector.requests().len(), 1);
}

#[test]
fn an_exporter_takes_the_url_of_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let collector = GrpcCollector::accepting();
    let _server = serve(UnixListener::bind(&path).unwrap(), &collector);
    let (processor, exporter) = Exporter::builder().url(url(&path)).build().unwrap();
    processor.on_end(span(0));
    let summary = exporter
        .blocking_shutdown(std::time::Duration::from_secs(30))
        .unwrap();
    assert_eq!(summary.stats.exported, 1);
}

#[tokio::test]
async fn a_socket_where_nobody_listens_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory.path().join("absent"));
    let error = Grpc::new(&Endpoint::parse(&url).unwrap())
        .unwrap()
        .oneshot(batch())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Unreachable);
    assert_eq!(error.to_string(), format!("{url} cannot be reached"));
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_an_error_at_once() {
    let long = "a".repeat(200);
    for url in [format!("unix:///{long}"), format!("unix-abstract:{long}")] {
        let error = BoxTransport::connect(&Endpoint::parse(&url).unwrap()).unwrap_err();
        let expected = match cfg!(target_os = "linux") || url.starts_with("unix:") {
            true => TransportErrorKind::Io,
            false => TransportErrorKind::Platform,
        };
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}
