//! A reverse proxy of gRPC that knows nothing of messages.

use http::{Request, Uri};
use hyper::body::Incoming;
use opentelemetry::trace::SpanKind;
use tonic::Code;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tower::{Layer, ServiceBuilder};
use towline_grpc::{client, server};
use towline_span::Outcome;
use towline_test_support::{TestTracing, assert_outcome, text_attribute};

use crate::chain::assert_chain;
use crate::conversation::{Kind, Raw};
use crate::echo::{Echo, Script};
use crate::network::{Running, eventually, hyper_client, serve};

#[tokio::test]
async fn every_kind_of_call_through_it_is_one_trace() {
    for (script, code) in [
        (Script::Answer, "OK"),
        (Script::Refuse(Code::NotFound), "NOT_FOUND"),
        (Script::FailAfterMessages(Code::Aborted), "ABORTED"),
    ] {
        for kind in Kind::ALL {
            let tracing = TestTracing::always();
            let layer = server::TraceLayer::from_spans(tracing.spans());
            let backend = Running::start(Server::builder(), layer, Routes::new(Echo::new(script)));
            let backend = backend.await;
            let proxy = proxy(&tracing, backend.uri()).await;

            let channel = Channel::builder(proxy).connect().await.unwrap();
            let channel = client::TraceLayer::from_spans(tracing.spans()).layer(channel);
            let result = kind
                .converse(
                    &mut Grpc::new(channel),
                    &MetadataMap::new(),
                    &Raw::default(),
                )
                .await;
            assert_eq!(result.is_ok(), code == "OK", "{code} {kind:?}");

            eventually("the end of every span", || tracing.finished().len() == 4).await;
            assert_chain(
                &tracing,
                &[
                    (SpanKind::Client, kind.method()),
                    (SpanKind::Server, kind.method()),
                    (SpanKind::Client, kind.method()),
                    (SpanKind::Server, kind.method()),
                ],
            );
            let spans = tracing.finished();
            // tonic's server knows the peer and so does hyper-util's client; the two others do not.
            let known = |kind| {
                let of_kind = spans.iter().filter(|span| span.span_kind == kind);
                let peers = of_kind.filter_map(|span| text_attribute(span, "network.peer.address"));
                peers.collect::<Vec<_>>()
            };
            assert_eq!(known(SpanKind::Server), ["127.0.0.1"]);
            assert_eq!(known(SpanKind::Client), ["127.0.0.1"]);
            for span in &spans {
                let found = text_attribute(span, "rpc.response.status_code");
                assert_eq!(
                    found.as_deref(),
                    Some(code),
                    "{kind:?} {:?}",
                    span.span_kind
                );
                assert_outcome(span, Outcome::Completed);
            }
        }
    }
}

#[tokio::test]
async fn a_backend_that_is_away_is_unavailable() {
    let tracing = TestTracing::always();
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let proxy = proxy(&tracing, format!("http://{address}").parse().unwrap()).await;
    let channel = Channel::builder(proxy).connect().await.unwrap();
    let kind = Kind::Unary;
    let result = kind
        .converse(
            &mut Grpc::new(channel),
            &MetadataMap::new(),
            &Raw::default(),
        )
        .await;
    result.unwrap_err();

    eventually("the end of both spans", || tracing.finished().len() == 2).await;
    for span in tracing.finished() {
        let code = text_attribute(&span, "rpc.response.status_code");
        assert_eq!(code.as_deref(), Some("UNAVAILABLE"), "{:?}", span.span_kind);
        assert_outcome(&span, Outcome::Failed);
        let text = format!("{:?}", span.status);
        assert!(text.contains("refused"), "the cause is told: {text}");
    }
}

/// Our server layer over our client layer over a client of hyper's.
async fn proxy(tracing: &TestTracing, backend: Uri) -> Uri {
    let authority = backend.authority().unwrap().clone();
    let service = ServiceBuilder::new()
        .layer(server::TraceLayer::from_spans(tracing.spans()))
        .map_request(move |mut request: Request<Incoming>| {
            let mut target = std::mem::take(request.uri_mut()).into_parts();
            target.authority = Some(authority.clone());
            *request.uri_mut() = Uri::from_parts(target).unwrap();
            request
        })
        .layer(client::TraceLayer::from_spans(tracing.spans()))
        .service(hyper_client::<Incoming>());
    serve(service).await
}
