//! Envelopes: what is none comes back as it was, what is one holds what it seems to hold, and everything that is sealed
//! is opened again.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use serde_json::Value;
use towline_propagation::envelope::Envelope;

#[test]
fn envelope() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let contexts = [Context::new(), sampled()];
        let shown = text.escape_ascii().to_string();
        let envelope = Envelope::new();
        let opened = envelope.open(text, &contexts[0]);
        if opened.was_sealed {
            assert!(plainly(text), "{shown}");
            assert!(opened.payload.len() < text.len(), "{shown}");
        } else {
            assert_eq!(*opened.payload, *text, "{shown}");
            assert!(opened.extraction.parent.is_none(), "{shown}");
        }
        for context in &contexts {
            let sealed = envelope.seal(context, text);
            let opened = envelope.open(&sealed, &contexts[0]);
            assert_eq!(*opened.payload, *text, "{shown}");
            assert_eq!(
                opened.extraction.parent.is_some(),
                context.span().span_context().is_valid(),
                "{shown}"
            );
        }
    });
}

fn sampled() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    ))
}

/// What an envelope must be at least, by way of a tree.
fn plainly(text: &[u8]) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_slice(text) else {
        return false;
    };
    members.len() == 2
        && members
            .get("PropagationContext")
            .is_some_and(|context| match context {
                Value::Null => true,
                Value::Object(fields) => fields.values().all(Value::is_string),
                _ => false,
            })
        && members
            .get("Payload")
            .is_some_and(|payload| payload.is_null() || payload.is_string())
}

const WORDS: &[&str] = &[
    r#"{"PropagationContext":"#,
    r#"{"PropagationContext":{},"Payload":"aGk="}"#,
    r#""PropagationContext""#,
    r#""Payload""#,
    r#","Payload":"#,
    r#","Payload":"aGk="}"#,
    r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#,
    r#""traceparent":"x""#,
    r#""aGk=""#,
    "null",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0050",
    "1",
    " ",
    "=",
];
