//! Each answer, in each protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use http::Version;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;
use tonic::Code;
use towline_test_support::Mix;
use towline_test_support::collector::{Answer, Collector, Protocol, Refusal};

use crate::client::{
    Answered, JSON, accepted, counts, encoded, grpc, post, post_grpc, post_protobuf, request,
};

async fn post_json(collector: &Collector, id: u64) -> Answered {
    let body = serde_json::to_vec(&request([id])).unwrap().into();
    let headers = [("content-type", JSON)];
    post(collector, Version::HTTP_11, "/v1/traces", &headers, body)
        .await
        .unwrap()
}

/// `google.rpc.Status`, read by hand.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(bytes = "vec", repeated, tag = "3")]
    details: Vec<Vec<u8>>,
}

/// A `RetryInfo` of 3 s and 500 ns in an `Any`, by the text of its definition.
fn retry_info() -> Vec<u8> {
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let mut any = vec![0x0a, url.len() as u8];
    any.extend_from_slice(url);
    any.extend_from_slice(&[0x12, 7, 0x0a, 5, 0x08, 3, 0x10, 0xf4, 0x03]);
    any
}

const DELAY: Duration = Duration::new(3, 500);

#[tokio::test]
async fn refusals_have_a_status_in_each_protocol() {
    for (refusal, code, http) in [
        (Refusal::Unavailable, Code::Unavailable, 503),
        (Refusal::Throttled, Code::ResourceExhausted, 429),
        (Refusal::BadGateway, Code::Unavailable, 502),
        (Refusal::TimedOut, Code::DeadlineExceeded, 504),
        (Refusal::InvalidArgument, Code::InvalidArgument, 400),
        (Refusal::Unauthenticated, Code::Unauthenticated, 401),
        (Refusal::PermissionDenied, Code::PermissionDenied, 403),
        (Refusal::NotFound, Code::Unimplemented, 404),
        (Refusal::TooLarge, Code::ResourceExhausted, 413),
        (Refusal::Internal, Code::Internal, 500),
    ] {
        let collector = Collector::builder().always(Answer::status(refusal)).start();
        let status = grpc(&collector)
            .await
            .export(request([1]))
            .await
            .unwrap_err();
        assert_eq!(status.code(), code, "{refusal:?}");
        assert!(!status.message().is_empty());

        let answered = post_protobuf(&collector, encoded([1])).await.unwrap();
        assert_eq!(answered.status, http, "{refusal:?}");
        assert_eq!(answered.header("content-type"), "application/x-protobuf");
        let read = RpcStatus::decode(answered.body).unwrap();
        assert_eq!(
            (read.code, read.message.as_str()),
            (code as i32, status.message())
        );

        let answered = post_json(&collector, 1).await;
        assert_eq!(answered.status, http, "{refusal:?}");
        assert_eq!(answered.header("content-type"), JSON);
        let read: serde_json::Value = serde_json::from_slice(&answered.body).unwrap();
        assert_eq!(read["code"], code as i32);
        assert_eq!(collector.accepted_count(), 0, "{refusal:?}");
        assert_eq!(collector.request_count(), 3);
    }
}

#[tokio::test]
async fn a_delay_is_given_in_the_way_of_each_protocol() {
    let answer = Answer::status(Refusal::Throttled)
        .message("50 % busy\n")
        .retry_after(DELAY);
    let collector = Collector::builder().always(answer).start();
    let answered = post_protobuf(&collector, encoded([1])).await.unwrap();
    assert_eq!(answered.header("retry-after"), "4");
    assert_eq!(
        RpcStatus::decode(answered.body).unwrap().details,
        [retry_info()]
    );

    let answered = post_json(&collector, 1).await;
    let read: serde_json::Value = serde_json::from_slice(&answered.body).unwrap();
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.000000500s",
    });
    assert_eq!(
        read,
        json!({ "code": 8, "message": "50 % busy\n", "details": [info] })
    );

    // Trailers-only, and in trailers.
    let answered = post_grpc(&collector, encoded([1])).await.unwrap();
    assert_eq!(answered.header("grpc-status"), "8");
    assert_eq!(answered.header("grpc-message"), "50 %25 busy%0A");
    assert!(answered.trailers.is_empty());
    assert!(!answered.headers.contains_key("retry-after"));
    let details = answered.header("grpc-status-details-bin");
    let details = base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(details)
        .unwrap();
    let read = RpcStatus::decode(details.as_slice()).unwrap();
    assert_eq!((read.code, read.details), (8, vec![retry_info()]));

    let answer = Answer::grpc_status(8, "").retry_info(DELAY).in_trailers();
    collector.set_always(answer);
    let answered = post_grpc(&collector, encoded([1])).await.unwrap();
    assert!(!answered.headers.contains_key("grpc-status"));
    assert_eq!(answered.trailers["grpc-status"], "8");
    assert!(!answered.trailers.contains_key("grpc-message"));
    assert!(answered.trailers.contains_key("grpc-status-details-bin"));
    let answered = post_protobuf(&collector, encoded([1])).await.unwrap();
    assert_eq!(answered.status, 429);
    assert!(!answered.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn retry_after_is_seconds_or_a_date() {
    let date: SystemTime = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let collector = Collector::builder()
        .sequence([
            Answer::http_status(503).retry_after_seconds(120),
            Answer::http_status(429).retry_after_date(date),
            Answer::http_status(503).header("retry-after", "soon"),
        ])
        .start();
    for (status, expected) in [
        (503, "120"),
        (429, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (503, "soon"),
    ] {
        let answered = post_protobuf(&collector, encoded([1])).await.unwrap();
        assert_eq!(
            (answered.status.as_u16(), answered.header("retry-after")),
            (status, expected)
        );
    }
}

#[tokio::test]
async fn statuses_of_one_protocol_mean_something_in_the_other() {
    for (code, http) in [
        (1, 499),
        (2, 500),
        (5, 404),
        (10, 409),
        (11, 400),
        (12, 501),
        (15, 500),
        (16, 401),
        (99, 500),
    ] {
        let collector = Collector::builder()
            .always(Answer::grpc_status(code, "no"))
            .start();
        let answered = post_protobuf(&collector, encoded([1])).await.unwrap();
        assert_eq!(answered.status, http, "{code}");
        let answered = post_grpc(&collector, encoded([1])).await.unwrap();
        assert_eq!(answered.header("grpc-status"), code.to_string());
    }
    // A proxy's, which knows no gRPC.
    let collector = Collector::builder()
        .always(Answer::http_status(502).text("<html>"))
        .start();
    let answered = post_grpc(&collector, encoded([1])).await.unwrap();
    assert_eq!(answered.status, 502);
    assert!(!answered.headers.contains_key("grpc-status"));
    assert_eq!(answered.header("content-type"), "text/plain");
    assert_eq!(answered.body, "<html>");
    assert!(grpc(&collector).await.export(request([1])).await.is_err());
    collector.set_always(Answer::http_status(502).body(""));
    let status = grpc(&collector)
        .await
        .export(request([1]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(collector.accepted_count(), 0);
}

#[tokio::test]
async fn a_partial_success_names_what_it_rejects_and_accepts_the_rest() {
    let message = "too old";
    let last = || Answer::partial(2, message);
    let even = || Answer::partial_where(|span| span.span_id[7] % 2 == 0, message);
    for (answer, rejected) in [(last(), [4, 5].as_slice()), (even(), &[2, 4])] {
        let collector = Collector::builder().always(answer).start();
        let response = grpc(&collector)
            .await
            .export(request(1..=5))
            .await
            .unwrap()
            .into_inner();
        let expected = ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: message.to_owned(),
        };
        assert_eq!(response.partial_success, Some(expected.clone()));
        let answered = post_protobuf(&collector, encoded(1..=5)).await.unwrap();
        let response = ExportTraceServiceResponse::decode(answered.body).unwrap();
        assert_eq!(
            (answered.status.as_u16(), response.partial_success),
            (200, Some(expected))
        );
        let all: Vec<_> = (1..=5).map(|id| (id, 2)).collect();
        let (no, yes): (Vec<_>, _) = all.into_iter().partition(|(id, _)| rejected.contains(id));
        assert_eq!(accepted(&collector), yes);
        assert_eq!(counts(collector.rejected()), no);
    }
    // There are no more to reject than there are.
    let collector = Collector::builder()
        .always(Answer::partial(9, "all"))
        .start();
    let answered = post_json(&collector, 1).await;
    let read: serde_json::Value = serde_json::from_slice(&answered.body).unwrap();
    let expected = json!({ "partialSuccess": { "rejectedSpans": "1", "errorMessage": "all" } });
    assert_eq!(read, expected);
    assert_eq!(
        (collector.accepted_count(), collector.rejected().len()),
        (0, 1)
    );
}

#[tokio::test]
async fn a_claim_is_only_a_claim() {
    let collector = Collector::builder()
        .always(Answer::claiming_rejected(-7, ""))
        .start();
    let response = grpc(&collector)
        .await
        .export(request([1]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.partial_success.unwrap().rejected_spans, -7);
    assert_eq!(
        (collector.accepted_count(), collector.rejected().len()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_success_may_be_large_or_look_wrong() {
    let collector = Collector::builder().always(Answer::large(5 << 20)).start();
    let answered = post_protobuf(&collector, encoded([1])).await.unwrap();
    assert!((5 << 20..(5 << 20) + 32).contains(&answered.body.len()));
    let response = ExportTraceServiceResponse::decode(answered.body).unwrap();
    assert_eq!(response.partial_success.unwrap().rejected_spans, 0);
    let status = grpc(&collector)
        .await
        .export(request([2]))
        .await
        .unwrap_err();
    assert!(status.message().contains("too large"), "{status}");

    collector.set_always(Answer::ok().body("<html>").content_type("text/html"));
    let answered = post_protobuf(&collector, encoded([3])).await.unwrap();
    assert_eq!(answered.header("content-type"), "text/html");
    assert_eq!(answered.body, "<html>");
    assert!(grpc(&collector).await.export(request([4])).await.is_err());
    // The client may not have understood: the collector has said OK.
    assert_eq!(accepted(&collector), [(1, 1), (2, 1), (3, 1), (4, 1)]);
}

#[tokio::test]
async fn what_says_ok_accepts_by_the_protocol_of_the_request() {
    let collector = Collector::start();
    for (id, answer, http_accepts, grpc_accepts) in [
        (1, Answer::http_status(202), true, false),
        (3, Answer::http_status(299), true, false),
        (5, Answer::http_status(300), false, false),
        (7, Answer::grpc_status(0, ""), true, true),
        (9, Answer::http_status(503).after_accepting(), true, true),
    ] {
        collector.set_always(answer);
        post_protobuf(&collector, encoded([id])).await.unwrap();
        post_grpc(&collector, encoded([id + 1])).await.unwrap();
        let accepted = accepted(&collector);
        assert_eq!(accepted.contains(&(id, 1)), http_accepts, "{id}");
        assert_eq!(accepted.contains(&(id + 1, 1)), grpc_accepts, "{id}");
    }
}

#[tokio::test]
async fn a_function_sees_the_request_and_a_sequence_ends_with_its_last() {
    let collector = Collector::builder()
        .answer(
            |request| match (request.protocol(), request.header("authorization")) {
                (Protocol::HttpProtobuf, Some("Bearer secret")) => Answer::ok(),
                (protocol, _) => {
                    Answer::status(Refusal::Unauthenticated).message(format!("{protocol:?}"))
                }
            },
        )
        .start();
    assert_eq!(
        post_protobuf(&collector, encoded([1]))
            .await
            .unwrap()
            .status,
        401
    );
    let headers = [
        ("content-type", crate::client::PROTOBUF),
        ("authorization", "Bearer secret"),
    ];
    let answered = post(
        &collector,
        Version::HTTP_2,
        "/v1/traces",
        &headers,
        encoded([1]),
    )
    .await;
    assert_eq!(answered.unwrap().status, 200);

    collector.set_sequence([
        Answer::http_status(503),
        Answer::http_status(404),
        Answer::ok(),
    ]);
    let mut statuses = vec![];
    for _ in 0..5 {
        statuses.push(
            post_protobuf(&collector, encoded([2]))
                .await
                .unwrap()
                .status
                .as_u16(),
        );
    }
    assert_eq!(statuses, [503, 404, 200, 200, 200]);
}

#[tokio::test]
async fn a_mix_is_replayed_by_its_seed() {
    let run = async |seed| {
        let mix = Mix::new(seed)
            .weight(1, Answer::ok())
            .weight(1, Answer::http_status(503))
            .weight(1, Answer::partial(1, "no"));
        let collector = Collector::builder().mix(mix).start();
        let mut statuses = vec![];
        for id in 1..=30 {
            let answered = post_protobuf(&collector, encoded([id])).await.unwrap();
            statuses.push((answered.status.as_u16(), answered.body.len()));
        }
        (statuses, accepted(&collector))
    };
    let first = run(1).await;
    assert_eq!(run(1).await, first);
    assert_ne!(run(2).await, first);
}
