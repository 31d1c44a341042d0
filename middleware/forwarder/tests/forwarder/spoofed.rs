//! What a client writes in the place of the stamp, in every encoding, as the backend's decoder sees
//! it. The ways to say it in protobuf have a test of their own, beside the stamp.

use bytes::Bytes;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_test_support::transport::MemoryTransport;

use crate::support::{Server, builder, frame, gzip};

/// An attribute under our key, once with each type of value.
fn forged() -> Vec<Value> {
    let value = |kind: &str, value: Value| json!({"key": FORWARDED_FOR, "value": {kind: value}});
    vec![
        value("stringValue", "mallory".into()),
        value("stringValue", "alice".into()),
        value("intValue", "7".into()),
        value("boolValue", true.into()),
        value("doubleValue", 0.5.into()),
        value("bytesValue", "bWFsbG9yeQ==".into()),
        value(
            "arrayValue",
            json!({"values": [{"stringValue": "mallory"}]}),
        ),
        value(
            "kvlistValue",
            json!({"values": [{"key": FORWARDED_FOR, "value": {"stringValue": "mallory"}}]}),
        ),
        json!({ "key": FORWARDED_FOR }),
        // In a nested value, where somebody who searches for the key finds it.
        json!({"key": "honest", "value": {"kvlistValue": {"values": [
            {"key": FORWARDED_FOR, "value": {"stringValue": "mallory"}},
        ]}}}),
    ]
}

fn forged_everywhere() -> Value {
    let all = forged();
    json!({"resourceSpans": [{
        "resource": {"attributes": all},
        "scopeSpans": [{
            "scope": {"name": "scope", "attributes": all},
            "spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c",
                "spanId": "eee19b7ec3c1b174",
                "name": "name",
                "attributes": all,
                "events": [{"name": "event", "attributes": all}],
                "links": [{
                    "traceId": "5b8efff798038103d269b633813fc60c",
                    "spanId": "eee19b7ec3c1b175",
                    "attributes": all,
                }],
            }],
        }],
    }]})
}

/// Every value under our key, wherever it stands.
fn stamps(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| stamps(item, found)),
        Value::Object(fields) => {
            if fields.get("key").is_some_and(|key| key == FORWARDED_FOR) {
                found.push(fields.get("value").cloned().unwrap_or(Value::Null));
            }
            fields.values().for_each(|item| stamps(item, found));
        }
        _ => {}
    }
}

#[track_caller]
fn assert_ours(name: &str, bytes: &Bytes) {
    let decoded = ExportTraceServiceRequest::decode(bytes.clone()).unwrap();
    let mut found = vec![];
    stamps(&serde_json::to_value(&decoded).unwrap(), &mut found);
    // The resource's and the span's.
    assert_eq!(
        found,
        [
            json!({"stringValue": "alice"}),
            json!({"stringValue": "alice"})
        ],
        "{name}"
    );
    for resource_spans in &decoded.resource_spans {
        let resource = resource_spans.resource.as_ref().unwrap();
        assert_eq!(resource.attributes.last().unwrap().key, FORWARDED_FOR);
    }
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains("mallory"), "{name}");
}

#[tokio::test]
async fn only_ours_counts_in_every_encoding() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let json = serde_json::to_vec(&forged_everywhere()).unwrap();
    let decoded: ExportTraceServiceRequest = serde_json::from_slice(&json).unwrap();
    let protobuf = decoded.encode_to_vec();
    assert!(String::from_utf8_lossy(&protobuf).contains("mallory"));

    for (content_type, body) in [
        ("application/x-protobuf", &protobuf),
        ("application/json", &json),
    ] {
        let post = server.http(content_type).header("content-encoding", "gzip");
        let post = post.body(Full::new(Bytes::from(gzip(body)))).unwrap();
        assert_eq!(server.send(post).await.status, 200, "{content_type}");
    }
    let call = server.grpc().body(Full::new(frame(0, &protobuf))).unwrap();
    assert_eq!(server.send_h2(call).await.code(), 0);

    let attempts = backend.attempts();
    assert_eq!(attempts.len(), 3);
    for attempt in &attempts {
        assert_ours("everywhere", attempt.batch().bytes());
    }
    server.assert_settled();
}

/// JSON has ways of its own to say a thing differently.
#[tokio::test]
async fn the_ways_of_json_to_hide_it() {
    let backend = MemoryTransport::accepting();
    let server = Server::start(builder().exporter(backend.clone())).await;
    let span = |attribute: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{attribute}]}}]}}]}}]}}"#
        )
    };
    let value = r#""value":{"stringValue":"mallory"}"#;
    for (name, request) in [
        ("plain", span(&format!(r#"{{"key":"teleport.forwarded.for",{value}}}"#))),
        (
            "escaped",
            span(&format!(r#"{{"key":"teleport\u002eforwarded\u002Efor",{value}}}"#)),
        ),
        (
            "the value first",
            span(&format!(r#"{{{value},"key":"teleport.forwarded.for"}}"#)),
        ),
        (
            "the key twice, ours last",
            span(&format!(r#"{{"key":"honest","key":"teleport.forwarded.for",{value}}}"#)),
        ),
        (
            "a name that is escaped",
            span(&format!(r#"{{"\u006bey":"teleport.forwarded.for",{value}}}"#)),
        ),
        (
            "attributes twice",
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[],"attributes":[{"key":"teleport.forwarded.for","value":{"stringValue":"mallory"}}]}]}]}]}"#.to_owned(),
        ),
        (
            "the resource twice",
            r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{}]}],"resource":{"attributes":[{"key":"teleport.forwarded.for","value":{"stringValue":"mallory"}}]}}]}"#.to_owned(),
        ),
        (
            "the value twice",
            span(r#"{"key":"teleport.forwarded.for","value":{"stringValue":"alice"},"value":{"stringValue":"mallory"}}"#),
        ),
    ] {
        let before = backend.attempts().len();
        let post = server.http("application/json");
        let answer = server.send(post.body(Full::new(Bytes::from(request))).unwrap()).await;
        // One that says two things at once may be refused.
        if answer.status == 400 {
            assert!(name.ends_with("twice") || name.starts_with("the key twice"), "{name}");
            assert_eq!(backend.attempts().len(), before, "{name}");
            continue;
        }
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert_ours(name, backend.attempts()[before].batch().bytes());
    }
    server.assert_settled();
}
