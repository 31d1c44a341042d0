//! What comes back is small, whatever was sent: a client that does not read its answers would fill
//! the memory that the limits have saved.

use bytes::Bytes;
use http_body_util::Full;

use crate::support::{Server, builder};

#[tokio::test]
async fn an_answer_does_not_repeat_what_was_sent() {
    let server = Server::start(builder()).await;
    let long = "\\u0001".repeat(100_000);
    for json in [
        format!("\"{long}\""),
        format!(r#"{{"resourceSpans":"{long}"}}"#),
        format!(r#"{{"resourceSpans":["{long}"]}}"#),
        format!(r#"{{"resourceSpans":[{{"resource":"{long}"}}]}}"#),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{long}"}}]}}]}}]}}"#),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"kind":["{long}"]}}]}}]}}]}}"#),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"status":"{long}"}}]}}]}}]}}"#),
        format!(r#"{{"resourceSpans":[{{"{long}":"{long}"}}]}} "{long}""#),
    ] {
        let body = Full::new(Bytes::from(json));
        let sent = server.http("application/json").body(body).unwrap();
        let answer = server.send(sent).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.len() < 400, "{}", answer.body.len());
    }
    server.assert_settled();
}
