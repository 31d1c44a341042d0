//! Any JSON to the forwarder: refused, or what another reader of OTLP's JSON makes of it, with the
//! sender's identity and no forged one.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_fuzz::forwarding::Forwarding;

#[test]
fn received_json() {
    let forwarding = Forwarding::new();
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        check(&forwarding, text);
        check(&forwarding, &repaired(b"", text));
        check(&forwarding, &repaired(IN_A_SPAN, text));
    });
}

fn check(forwarding: &Forwarding, text: &[u8]) {
    let shown = text.escape_ascii().to_string();
    let (status, batch) = forwarding.post("application/json", None, text);
    let Some(batch) = batch else {
        // Without spans there is nothing to send on.
        assert!(matches!(status, 200 | 400), "{status}: {shown}");
        return;
    };
    assert_eq!(status, 200, "{shown}");
    let ours = decoded(batch, &shown);
    if let Ok(theirs) = serde_json::from_slice::<ExportTraceServiceRequest>(text) {
        assert_eq!(ours, without_stamps(&theirs), "{shown}");
    }
}

/// Lines of a text as JSON: commas between members, nothing closed that is not open, and everything
/// closed at the end.
fn repaired(before: &[u8], text: &[u8]) -> Vec<u8> {
    let mut json = vec![];
    let mut open = vec![];
    let lines = text.split(|byte| *byte == b'\n');
    for line in [before].into_iter().chain(lines) {
        let is_closing = matches!(line.first(), Some(b'}' | b']'));
        let last = json.last();
        if !line.is_empty() && !is_closing && last.is_some_and(|last| !b"{[,:".contains(last)) {
            json.push(b',');
        }
        for byte in line {
            match byte {
                b'{' if open.len() < 100 => open.push(b'}'),
                b'[' if open.len() < 100 => open.push(b']'),
                b'{' | b'[' => continue,
                b'}' | b']' if open.last() == Some(byte) => drop(open.pop()),
                b'}' | b']' => continue,
                _ => {}
            }
            json.push(*byte);
        }
    }
    json.extend(open.iter().rev());
    json
}

/// What the backend sees, but for the stamps, which are all ours.
fn decoded(batch: Bytes, shown: &str) -> Value {
    let request = ExportTraceServiceRequest::decode(batch).expect("a decoder reads it");
    let mut stamps = 0;
    for resource_spans in &request.resource_spans {
        let spans = resource_spans
            .scope_spans
            .iter()
            .map(|scope| scope.spans.len());
        stamps += 1 + spans.sum::<usize>();
    }
    let text = serde_json::to_string(&request).expect("it can be shown");
    assert_eq!(text.matches(FORWARDED_FOR).count(), stamps, "{shown}");
    without_stamps(&request)
}

fn without_stamps(request: &ExportTraceServiceRequest) -> Value {
    let mut request = request.clone();
    for resource_spans in &mut request.resource_spans {
        resource_spans.resource.get_or_insert_default();
    }
    let mut value = serde_json::to_value(&request).expect("it can be shown");
    remove(&mut value);
    value
}

fn remove(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| item.get("key").is_none_or(|key| key != FORWARDED_FOR));
            items.iter_mut().for_each(remove);
        }
        Value::Object(fields) => fields.values_mut().for_each(remove),
        _ => {}
    }
}

const IN_A_SPAN: &[u8] = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"#;

/// Each is a line, which `repaired` makes a member of what is open.
const WORDS: &[&str] = &[
    "{\"resourceSpans\":[{\n",
    "\"scopeSpans\":[{\n",
    "\"spans\":[{\n",
    "}\n",
    "]\n",
    "}]\n",
    "}]}]\n",
    "},{\n",
    "}\n{\n",
    "\"attributes\":[{\n",
    "\"resource\":{\n",
    "\"scope\":{\n",
    "\"events\":[{\n",
    "\"links\":[{\n",
    "\"status\":{\"code\":2,\"message\":\"m\"}\n",
    "\"key\":\"teleport.forwarded.for\",\"value\":{\"stringValue\":\"mallory\"}\n",
    "\"key\":\"k\"\n",
    "\"key\":\"teleport\\u002eforwarded.for\"\n",
    "\"value\":{\n",
    "\"value\":{\"kvlistValue\":{\"values\":[{\n",
    "\"value\":{\"arrayValue\":{\"values\":[{\n",
    "\"kvlistValue\":{\"values\":[{\n",
    "\"intValue\":\"-5\"\n",
    "\"doubleValue\":0.5\n",
    "\"boolValue\":true\n",
    "\"bytesValue\":\"aGk=\"\n",
    "\"stringValue\":\"s\"\n",
    "\"traceId\":\"5b8efff798038103d269b633813fc60c\"\n",
    "\"spanId\":\"EEE19B7EC3C1B174\"\n",
    "\"parentSpanId\":\"eee19b7ec3c1b175\"\n",
    "\"name\":\"n\"\n",
    "\"version\":\"v\"\n",
    "\"schemaUrl\":\"u\"\n",
    "\"kind\":2\n",
    "\"kind\":\"SPAN_KIND_CLIENT\"\n",
    "\"startTimeUnixNano\":\"1544712660000000000\"\n",
    "\"endTimeUnixNano\":\"18446744073709551615\"\n",
    "\"timeUnixNano\":\"7\"\n",
    "\"droppedAttributesCount\":1\n",
    "\"droppedEventsCount\":2\n",
    "\"droppedLinksCount\":3\n",
    "\"flags\":257\n",
    "\"traceState\":\"a=b\"\n",
    "\"unknown\":[{\"a\":null}]\n",
    "null",
    "\"",
    "1",
    "e3",
    " ",
    "\n",
];
