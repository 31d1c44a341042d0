//! OTLP/gRPC with tonic's client.

use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tonic::codec::CompressionEncoding;
use tower::ServiceExt;
use towline_otlp::{Batch, Endpoint, ExportErrorKind, Grpc, PeerStatus};
use towline_test_support::transport::{MemoryTransport, Reply};

use crate::support::{Server, builder, request, tonic_request};

#[tokio::test]
async fn spans_arrive_with_the_name_of_who_sent_them() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let mut client = server.tonic().await;
    let answer = client.export(tonic_request(request(1..=3))).await.unwrap();
    assert_eq!(answer.into_inner().partial_success, None);

    assert_eq!(backend.accepted().len(), 3);
    let received = backend.attempts()[0].request();
    let resource = &received.resource_spans[0];
    let spans = &resource.scope_spans[0].spans;
    let attributes = [&resource.resource.as_ref().unwrap().attributes]
        .into_iter()
        .chain(spans.iter().map(|span| &span.attributes));
    for attributes in attributes {
        assert_eq!(attributes.len(), 1);
        assert_eq!(attributes[0].key, "teleport.forwarded.for");
        let value = attributes[0].value.as_ref().unwrap().value.as_ref();
        assert_eq!(value, Some(&Value::StringValue("alice".to_owned())));
    }
    let stats = server.stats();
    assert_eq!((stats.requests.acknowledged, stats.spans.forwarded), (1, 3));
    server.assert_settled();
}

#[tokio::test]
async fn messages_may_be_compressed() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let client = server.tonic().await;
    for (number, compression) in [
        (1, CompressionEncoding::Gzip),
        #[cfg(feature = "zstd")]
        (2, CompressionEncoding::Zstd),
    ] {
        let mut client = client.clone().send_compressed(compression);
        client
            .export(tonic_request(request([number])))
            .await
            .unwrap();
        assert_eq!(backend.attempts().len() as u64, number);
    }
    #[cfg(not(feature = "zstd"))]
    {
        let mut client = client.send_compressed(CompressionEncoding::Zstd);
        let status = client
            .export(tonic_request(request([2])))
            .await
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented);
        let accepted = status.metadata().get("grpc-accept-encoding").unwrap();
        assert_eq!(accepted, "gzip, identity");
    }
}

#[tokio::test]
async fn a_request_without_spans_is_a_success() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let mut client = server.tonic().await;
    for empty in [request([]), <_>::default()] {
        client.export(tonic_request(empty)).await.unwrap();
    }
    assert!(backend.attempts().is_empty());
    assert_eq!(server.stats().requests.acknowledged, 2);
}

#[tokio::test]
async fn partial_success_is_passed_back() {
    let backend = MemoryTransport::always(Reply::partial(2, "too old"));
    let server = Server::start(builder().exporter(backend)).await;
    let mut client = server.tonic().await;
    let answer = client.export(tonic_request(request(1..=5))).await.unwrap();
    let partial = answer.into_inner().partial_success.unwrap();
    assert_eq!(
        (partial.rejected_spans, partial.error_message.as_str()),
        (2, "too old")
    );
    let spans = server.stats().spans;
    assert_eq!((spans.forwarded, spans.rejected), (3, 2));
    server.assert_settled();
}

#[tokio::test]
async fn without_an_exporter_spans_are_acknowledged_and_counted() {
    let server = Server::start(builder()).await;
    let mut client = server.tonic().await;
    client.export(tonic_request(request(1..=5))).await.unwrap();
    let stats = server.stats();
    assert_eq!((stats.requests.acknowledged, stats.spans.discarded), (1, 5));
    assert_eq!(stats.spans.forwarded, 0);
    server.assert_settled();
}

/// The exporter of this family as a client, by both names of the method.
#[tokio::test]
async fn both_methods_take_the_same_bytes() {
    let authorize = |_: &http::request::Parts| Ok(towline_forwarder::Identity::new("x")?);
    for path in ["/proto.AuthService/ExportSpan", "/my.Service/Spans"] {
        let backend = MemoryTransport::accepting();
        let mut builder = builder().exporter(backend.clone()).authorize(authorize);
        if path.starts_with("/my") {
            builder = builder.export_span(&PathAndQuery::from_static(path));
        }
        let server = Server::start(builder).await;
        let endpoint = Endpoint::parse(&server.address.to_string()).unwrap();
        let batch = Batch::parse(prost::Message::encode_to_vec(&request(1..=2))).unwrap();
        let grpc = Grpc::new(&endpoint).unwrap();
        grpc.clone().oneshot(batch.clone()).await.unwrap();
        let other = grpc.clone().with_method(PathAndQuery::from_static(path));
        other.oneshot(batch.clone()).await.unwrap();
        assert_eq!(backend.attempts().len(), 2);

        let unknown = PathAndQuery::from_static("/proto.AuthService/Other");
        let error = grpc.with_method(unknown).oneshot(batch).await.unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Refused(PeerStatus::Grpc(12)));
        assert_eq!(server.stats().requests.refused.malformed, 1);
    }
}

/// The exporter's splitting needs to know a message that is too large by its answer.
#[tokio::test]
async fn the_exporter_of_this_family_knows_what_is_too_large() {
    use towline_forwarder::{Identity, Limits};
    let authorize = |_: &http::request::Parts| Ok(Identity::new("x")?);
    for limits in [
        Limits::new().max_request_bytes(60),
        Limits::new().max_spans(2),
    ] {
        let server = Server::start(builder().authorize(authorize).limits(limits)).await;
        let batch = Batch::parse(prost::Message::encode_to_vec(&request(1..=3))).unwrap();
        let endpoint = Endpoint::parse(&server.address.to_string()).unwrap();
        let error = Grpc::new(&endpoint)
            .unwrap()
            .oneshot(batch.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::TooLarge, "{error:?}");

        let url = server.url("/v1/traces");
        let http = towline_otlp::Http::new(&Endpoint::parse(&url).unwrap()).unwrap();
        let error = http.oneshot(batch).await.unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::TooLarge, "{error:?}");
        assert_eq!(server.stats().requests.refused.too_large, 2);
        server.assert_settled();
    }
}

#[tokio::test]
async fn the_name_is_written_where_and_as_the_builder_says() {
    use towline_forwarder::Place;
    let backend = MemoryTransport::accepting();
    let builder = builder().exporter(backend.clone());
    let server = Server::start(builder.key("enduser.id").place(Place::Spans)).await;
    let mut client = server.tonic().await;
    client.export(tonic_request(request([1]))).await.unwrap();
    let received = backend.attempts()[0].request();
    assert_eq!(received.resource_spans[0].resource, None);
    let span = &received.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.attributes.len(), 1);
    assert_eq!(span.attributes[0].key, "enduser.id");
}
