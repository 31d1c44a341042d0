use std::collections::HashSet;

use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::process::Program;
use crate::upstream::{Seen, Upstream};

const TRACE_ID: &str = "12345678901234567890123456789012";

/// The service under test, and the endpoint that it calls back.
struct Suite {
    service: Program,
    upstream: Upstream,
    callback: String,
}

impl Suite {
    async fn start() -> Self {
        let (upstream, address) = Upstream::start().await;
        Self {
            service: Program::start(env!("CARGO_BIN_EXE_w3c-service"), &[]),
            upstream,
            callback: format!("http://{address}/callback"),
        }
    }

    /// Sends a request that asks for this many callbacks, and answers what they carried.
    async fn test(&self, headers: &[(&str, &[u8])], callbacks: usize) -> Vec<Seen> {
        let one = serde_json::json!({ "url": self.callback, "arguments": [] });
        let body = serde_json::Value::Array(vec![one; callbacks]).to_string();
        let mut request = Request::post(format!("http://{}/test", self.service.address()))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(Full::<bytes::Bytes>::from(body)).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
        let seen = self.upstream.take();
        assert_eq!(seen.len(), callbacks);
        seen
    }

    /// The trace id and the flags that a single callback carried.
    async fn traceparent(&self, headers: &[(&str, &[u8])]) -> (String, String) {
        let seen = self.test(headers, 1).await;
        let traceparent = seen[0].header("traceparent").unwrap().to_owned();
        assert_eq!(traceparent.len(), 55, "{traceparent}");
        let fields: Vec<_> = traceparent.split('-').collect();
        assert_eq!(fields[0], "00");
        (fields[1].to_owned(), fields[3].to_owned())
    }
}

#[tokio::test]
async fn callbacks_are_posted_in_order_each_with_a_span_of_its_own() {
    let suite = Suite::start().await;
    let sent = format!("00-{TRACE_ID}-1234567890123456-01");
    let seen = suite.test(&[("traceparent", sent.as_bytes())], 3).await;
    let mut span_ids = HashSet::from(["1234567890123456".to_owned()]);
    for callback in seen {
        assert_eq!(callback.body, "[]");
        assert_eq!(callback.header("tracestate"), None);
        let traceparent = callback.header("traceparent").unwrap().to_owned();
        assert!(
            traceparent.starts_with(&format!("00-{TRACE_ID}-")),
            "{traceparent}"
        );
        assert!(traceparent.ends_with("-01"), "{traceparent}");
        assert!(
            span_ids.insert(traceparent[36..52].to_owned()),
            "{traceparent}"
        );
    }
    assert!(suite.test(&[], 0).await.is_empty());
}

#[tokio::test]
async fn what_is_malformed_restarts_the_trace_and_what_is_not_is_followed() {
    let suite = Suite::start().await;
    let followed: [&[u8]; 7] = [
        b"00-12345678901234567890123456789012-1234567890123456-00",
        b"00-12345678901234567890123456789012-1234567890123456-03",
        b"\t 00-12345678901234567890123456789012-1234567890123456-01 \t",
        b"cc-12345678901234567890123456789012-1234567890123456-01",
        b"cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        b"00-12345678901234567890123456789012-1234567890123456-ff",
        b"00-12345678901234567890123456789012-1234567890123456-04",
    ];
    for (sent, flags) in followed
        .into_iter()
        .zip(["00", "03", "01", "01", "01", "03", "00"])
    {
        let (trace_id, found) = suite.traceparent(&[("traceparent", sent)]).await;
        assert_eq!(
            (trace_id.as_str(), found.as_str()),
            (TRACE_ID, flags),
            "{}",
            sent.escape_ascii()
        );
    }
    let restarted: [&[u8]; 12] = [
        b"ff-12345678901234567890123456789012-1234567890123456-01",
        b"0-12345678901234567890123456789012-1234567890123456-01",
        b"000-12345678901234567890123456789012-1234567890123456-01",
        b"00-12345678901234567890123456789012-1234567890123456-01-",
        b"00-12345678901234567890123456789012-1234567890123456-01-x",
        b"cc-12345678901234567890123456789012-1234567890123456-01.x",
        b"00-00000000000000000000000000000000-1234567890123456-01",
        b"00-12345678901234567890123456789012-0000000000000000-01",
        b"00-1234567890123456789012345678901A-1234567890123456-01",
        b"00-1234567890123456789012345678901-1234567890123456-01",
        b"00-12345678901234567890123456789012-1234567890123456-1",
        b"00-12345678901234567890123456789012-1234567890123456-0g",
    ];
    for sent in restarted {
        let (trace_id, flags) = suite.traceparent(&[("traceparent", sent)]).await;
        assert_ne!(trace_id, TRACE_ID, "{}", sent.escape_ascii());
        // Rate 0, and a trace id that is random.
        assert_eq!(flags, "02", "{}", sent.escape_ascii());
    }
    let twice: &[u8] = b"00-12345678901234567890123456789012-1234567890123456-01";
    let (trace_id, _) = suite
        .traceparent(&[("traceparent", twice), ("traceparent", twice)])
        .await;
    assert_ne!(trace_id, TRACE_ID);
}

#[tokio::test]
async fn tracestate_goes_along_with_its_traceparent_only() {
    let suite = Suite::start().await;
    let parent: (&str, &[u8]) = (
        "traceparent",
        b"00-12345678901234567890123456789012-1234567890123456-00",
    );
    let long = format!("a={}", "v".repeat(250));
    let six_hundred = format!("{long},b={},c={}", "v".repeat(250), "v".repeat(90));
    for (lines, expected) in [
        (&["foo=1,bar=2"][..], Some("foo=1,bar=2")),
        (&["foo=1", "bar=2"], Some("foo=1,bar=2")),
        (
            &["foo=1 \t , \t bar=2, \t baz=3"],
            Some("foo=1,bar=2,baz=3"),
        ),
        (&["foo=1,"], Some("foo=1")),
        (&["foo@@bar=1,bar=2"], Some("foo@@bar=1,bar=2")),
        (&[&*six_hundred], Some(&*six_hundred)),
        (&[""], None),
        (&["foo =1"], None),
        (&["FOO=1"], None),
        (&["foo=bar=baz"], None),
        (&["foo=1,bad"], None),
    ] {
        let mut headers = vec![parent];
        headers.extend(lines.iter().map(|line| ("tracestate", line.as_bytes())));
        let seen = suite.test(&headers, 1).await;
        assert_eq!(seen[0].header("tracestate"), expected, "{lines:?}");
    }
    let seen = suite.test(&[("tracestate", b"foo=1")], 1).await;
    assert_eq!(seen[0].header("tracestate"), None);
}
