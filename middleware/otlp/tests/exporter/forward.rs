//! Spans through a connection that the program has anyway, to a server that may be too old for it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use opentelemetry_sdk::trace::SpanProcessor;
use tower::{Layer, Service, service_fn};
use towline_otlp::policy::UnimplementedLayer;
use towline_otlp::{Exporter, Grpc};

use crate::log::Log;
use crate::support::spans::span;

const LONG: Duration = Duration::from_secs(60);

type Body = tonic::body::Body;

type Answer = Result<Response<Body>, Infallible>;

/// A connection to a server that answers every call with one status; it notes where they go.
fn server(
    status: &'static str,
    calls: &Arc<Mutex<Vec<Uri>>>,
) -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Answer> + Send + use<>,
> + Clone
+ Send
+ use<> {
    let calls = Arc::clone(calls);
    service_fn(move |request: Request<Body>| {
        calls.lock().unwrap().push(request.uri().clone());
        async move {
            request.into_body().collect().await.unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            // An empty message, where one is due.
            let frame: &[u8] = if status == "0" { &[0; 5] } else { &[] };
            let body = Full::new(bytes::Bytes::from_static(frame))
                .with_trailers(std::future::ready(Some(Ok(trailers))));
            Ok(Response::builder()
                .header("content-type", "application/grpc")
                .body(Body::new(body))
                .unwrap())
        }
    })
}

#[test]
fn the_method_is_otlps_or_the_one_that_is_said() {
    for (method, expected) in [
        (
            None,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        ),
        (
            Some("/proto.AuthService/ExportSpan"),
            "/proto.AuthService/ExportSpan",
        ),
    ] {
        let calls = Arc::default();
        let client = server("0", &calls);
        let mut grpc = Grpc::with_client(client, Uri::from_static("http://auth:3025"));
        if let Some(method) = method {
            grpc = grpc.with_method(PathAndQuery::from_static(method));
        }
        let (processor, exporter) = Exporter::builder().transport(grpc).build().unwrap();
        processor.on_end(span(1));
        let stats = exporter.blocking_shutdown(LONG).unwrap().stats;
        assert_eq!(stats.exported, 1);
        let calls = calls.lock().unwrap();
        assert_eq!(*calls, [format!("http://auth:3025{expected}").as_str()]);
    }
}

#[test]
fn a_server_that_is_too_old_is_called_once_and_its_spans_are_refused() {
    let calls = Arc::default();
    let client = server("12", &calls);
    let transport =
        UnimplementedLayer::new().layer(Grpc::with_client(client, "/".parse().unwrap()));
    let log = Log::default();
    let builder = Exporter::builder().transport(transport.clone());
    let (_program, (processor, exporter)) = log.hears(|| builder.build().unwrap());
    for number in 0..5 {
        processor.on_end(span(number));
        let error = exporter.blocking_flush(LONG).unwrap_err();
        assert_eq!(error.lost_spans(), 1);
    }
    assert!(transport.is_unimplemented());
    assert_eq!(calls.lock().unwrap().len(), 1);

    let _ = exporter.blocking_shutdown(LONG);
    let stats = exporter.stats();
    assert_eq!(
        (stats.ended, stats.dropped.refused, stats.dropped.total()),
        (5, 5, 5)
    );
    assert_eq!(stats.failed_attempts, 1);
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("INFO towline_otlp "), "{lines:?}");
    assert!(
        lines[0].contains("the peer does not take spans: "),
        "{lines:?}"
    );
}
