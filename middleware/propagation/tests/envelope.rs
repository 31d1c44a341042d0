//! Messages in envelopes, and messages that look like them.

use std::borrow::Cow;

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use proptest::prelude::*;
use towline_propagation::{
    Propagator,
    envelope::{Envelope, MAX_CONTEXT_BYTES, MAX_CONTEXT_FIELDS, Opened},
};

fn sampled() -> Context {
    with_state(TraceState::NONE)
}

fn with_state(trace_state: TraceState) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(0x0af7651916cd43dd8448eb211c80319c),
        SpanId::from(0xb7ad6b7169203331),
        TraceFlags::SAMPLED,
        false,
        trace_state,
    ))
}

fn open(message: &[u8]) -> Opened<'_> {
    Envelope::new().open(message, &Context::new())
}

#[track_caller]
fn assert_opens(message: &str, payload: &[u8]) {
    let opened = open(message.as_bytes());
    assert!(opened.was_sealed, "{message}");
    assert_eq!(&*opened.payload, payload, "{message}");
}

#[track_caller]
fn assert_foreign(message: impl AsRef<[u8]>) {
    let message = message.as_ref();
    let shown = String::from_utf8_lossy(message);
    let opened = open(message);
    assert!(!opened.was_sealed, "{shown}");
    assert!(
        matches!(opened.payload, Cow::Borrowed(bytes) if bytes == message),
        "{shown}"
    );
    assert!(opened.extraction.parent.is_none(), "{shown}");
    assert!(!opened.extraction.rejected.any(), "{shown}");
}

#[test]
fn writes_what_go_writes() {
    let state = TraceState::from_key_value([("congo", "t61rcWkgMzE")]).unwrap();
    let context = with_state(state).with_baggage([KeyValue::new("tenant", "acme")]);
    assert_eq!(
        String::from_utf8_lossy(&Envelope::new().seal(&context, b"root\x00\xff")),
        concat!(
            r#"{"PropagationContext":{"baggage":"tenant=acme","#,
            r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","#,
            r#""tracestate":"congo=t61rcWkgMzE"},"Payload":"cm9vdAD/"}"#,
        )
    );
}

#[test]
fn reads_what_go_writes() {
    // `encoding/json` escapes `<`, `>` and `&`.
    let message = concat!(
        r#"{"PropagationContext":{"baggage":"a=1","#,
        r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00","#,
        r#""tracestate":"congo=\u003ct61\u003e\u0026"},"Payload":"aGVsbG8gd29ybGQ="}"#,
    );
    let opened = open(message.as_bytes());
    assert_eq!(*opened.payload, *b"hello world");
    let parent = opened.extraction.parent.unwrap();
    assert_eq!(
        parent.trace_id(),
        TraceId::from(0x0af7651916cd43dd8448eb211c80319c)
    );
    assert!(parent.is_remote() && !parent.is_sampled());
    assert_eq!(parent.trace_state().get("congo"), Some("<t61>&"));
    let value = opened.extraction.base.baggage().get("a").unwrap();
    assert_eq!(value.as_str(), "1");
}

#[test]
fn a_nil_map_or_slice_of_go_is_an_empty_one() {
    for (message, payload) in [
        (r#"{"PropagationContext":null,"Payload":null}"#, &b""[..]),
        (r#"{"PropagationContext":{},"Payload":""}"#, b""),
        (
            r#"{"PropagationContext":{"traceparent":"x"},"Payload":null}"#,
            b"",
        ),
        (r#"{"PropagationContext":null,"Payload":"aGk="}"#, b"hi"),
    ] {
        assert_opens(message, payload);
    }
}

#[test]
fn order_and_white_space_are_json() {
    assert_opens(
        " {\r\n\t\"Payload\" : \"aG\\u006b=\",\n \"PropagationContext\" : { } } \n",
        b"hi",
    );
}

#[test]
fn a_malformed_context_leaves_the_payload_alone() {
    for context in [
        r#"{"traceparent":"00-0-0-00"}"#,
        r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"}"#,
        // One name, said twice.
        r#"{"Traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#,
    ] {
        let message = format!(r#"{{"PropagationContext":{context},"Payload":"aGk="}}"#);
        let opened = open(message.as_bytes());
        assert_eq!(*opened.payload, *b"hi", "{message}");
        assert!(opened.extraction.parent.is_none(), "{message}");
        assert!(opened.extraction.rejected.traceparent, "{message}");
    }
    // What is no name of a header cannot be a field of any format.
    assert_opens(
        r#"{"PropagationContext":{"":"x","a b":"y"},"Payload":"aGk="}"#,
        b"hi",
    );
}

#[test]
fn what_is_not_exactly_an_envelope_comes_back_untouched() {
    for message in [
        // No object.
        "",
        " ",
        "null",
        "true",
        "1",
        "\"aGk=\"",
        "[]",
        r#"[{"traceparent":"x"},"aGk="]"#,
        "not json",
        // A missing member.
        "{}",
        r#"{"PropagationContext":{}}"#,
        r#"{"Payload":"aGk="}"#,
        r#"{"PropagationContext":{"traceparent":"x"}}"#,
        // One too many.
        r#"{"PropagationContext":{},"Payload":"aGk=","Version":1}"#,
        r#"{"Version":1,"PropagationContext":{},"Payload":"aGk="}"#,
        r#"{"PropagationContext":{},"Payload":"aGk=","Payload":"aGk="}"#,
        r#"{"PropagationContext":{},"PropagationContext":{},"Payload":"aGk="}"#,
        r#"{"PropagationContext":null,"PropagationContext":{},"Payload":"aGk="}"#,
        r#"{"PropagationContext":{"a":"1","a":"1"},"Payload":"aGk="}"#,
        // Names that only Go's decoder would take.
        r#"{"propagationcontext":{},"payload":"aGk="}"#,
        r#"{"PropagationContext":{},"payload":"aGk="}"#,
        // Wrong types.
        r#"{"PropagationContext":[],"Payload":"aGk="}"#,
        r#"{"PropagationContext":"","Payload":"aGk="}"#,
        r#"{"PropagationContext":{"traceparent":null},"Payload":"aGk="}"#,
        r#"{"PropagationContext":{"traceparent":1},"Payload":"aGk="}"#,
        r#"{"PropagationContext":{"traceparent":["x"]},"Payload":"aGk="}"#,
        r#"{"PropagationContext":{},"Payload":1}"#,
        r#"{"PropagationContext":{},"Payload":{}}"#,
        r#"{"PropagationContext":{},"Payload":[104,105]}"#,
        r#"{"PropagationContext":{},"Payload":false}"#,
        // No base64 with padding in the standard alphabet.
        r#"{"PropagationContext":{},"Payload":"aGk"}"#,
        r#"{"PropagationContext":{},"Payload":"aGl="}"#,
        r#"{"PropagationContext":{},"Payload":"_-8="}"#,
        r#"{"PropagationContext":{},"Payload":"aG\nk="}"#,
        r#"{"PropagationContext":{},"Payload":"hello!"}"#,
        // Something after it, or not all of it.
        r#"{"PropagationContext":{},"Payload":"aGk="}{}"#,
        r#"{"PropagationContext":{},"Payload":"aGk="}x"#,
        r#"{"PropagationContext":{},"Payload":"aGk=""#,
    ] {
        assert_foreign(message);
    }
    assert_foreign(b"\xff\xfe");
    assert_foreign(b"{\"PropagationContext\":{\"a\":\"\xff\"},\"Payload\":\"aGk=\"}");
    assert_foreign("[".repeat(100_000));
    assert_foreign(r#"{"Payload":"#.repeat(100_000));
}

#[test]
fn a_context_over_the_limits_is_no_envelope() {
    let message = |fields: usize, len: usize| {
        let fields: Vec<String> = (0..fields)
            .map(|field| format!(r#""{field:02}":"{}""#, "x".repeat(len - 2)))
            .collect();
        format!(
            r#"{{"PropagationContext":{{{}}},"Payload":"aGk="}}"#,
            fields.join(",")
        )
    };
    assert_opens(&message(MAX_CONTEXT_FIELDS, 2), b"hi");
    assert_foreign(message(MAX_CONTEXT_FIELDS + 1, 2));
    assert_opens(&message(2, MAX_CONTEXT_BYTES / 2), b"hi");
    assert_foreign(message(2, MAX_CONTEXT_BYTES / 2 + 1));
}

#[test]
fn there_is_no_envelope_without_a_context() {
    for context in [
        Context::new(),
        Context::new().with_baggage(Vec::<KeyValue>::new()),
    ] {
        let sent = Envelope::new().seal(&context, b"exec ls");
        assert!(matches!(sent, Cow::Borrowed(b"exec ls")));
    }
    let silent = Envelope::new().with_propagator(Propagator::none());
    assert!(matches!(
        silent.seal(&sampled(), b"exec ls"),
        Cow::Borrowed(b"exec ls")
    ));
}

#[test]
fn a_payload_that_is_an_envelope_survives_without_a_context() {
    let inner = Envelope::new().seal(&sampled(), b"hi").into_owned();
    let sent = Envelope::new().seal(&Context::new(), &inner);
    assert!(sent.starts_with(br#"{"PropagationContext":{},"Payload":""#));
    let opened = open(&sent);
    assert_eq!(*opened.payload, *inner);
    assert!(opened.extraction.parent.is_none());
}

#[test]
fn a_context_that_is_too_long_is_not_sent() {
    #[derive(Debug)]
    struct Talkative;
    impl opentelemetry::propagation::TextMapPropagator for Talkative {
        fn inject_context(
            &self,
            _: &Context,
            injector: &mut dyn opentelemetry::propagation::Injector,
        ) {
            injector.set("x-life", "x".repeat(MAX_CONTEXT_BYTES));
        }

        fn extract_with_context(
            &self,
            cx: &Context,
            _: &dyn opentelemetry::propagation::Extractor,
        ) -> Context {
            cx.clone()
        }

        fn fields(&self) -> opentelemetry::propagation::text_map_propagator::FieldIter<'_> {
            opentelemetry::propagation::text_map_propagator::FieldIter::new(&[])
        }
    }
    let envelope = Envelope::new().with_propagator(Propagator::custom(Talkative));
    assert!(matches!(
        envelope.seal(&sampled(), b"exec ls"),
        Cow::Borrowed(b"exec ls")
    ));
}

/// Contexts with and without something to send.
fn contexts() -> impl Strategy<Value = Context> {
    prop_oneof![
        Just(Context::new()),
        Just(sampled()),
        "[ -~]{1,8}".prop_map(|value| Context::new().with_baggage([KeyValue::new("k", value)])),
        "[a-z]{1,8}".prop_map(|value| {
            with_state(TraceState::from_key_value([("k", value)]).unwrap_or_default())
        }),
    ]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("\"aGk=\"".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        "[a-zA-Z=]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    let names = prop_oneof![
        2 => Just("PropagationContext".to_owned()),
        2 => Just("Payload".to_owned()),
        1 => "[a-z]{0,3}",
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let members = prop::collection::vec((names.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            members.prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// What an envelope must be at least, by the slow way over a tree.
fn may_be_envelope(message: &str) -> bool {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(message) else {
        return false;
    };
    let has_context = members.get("PropagationContext").is_some_and(|context| {
        let fields = context.as_object();
        context.is_null()
            || fields.is_some_and(|fields| fields.values().all(|value| value.is_string()))
    });
    let payload = members.get("Payload");
    members.len() == 2
        && has_context
        && payload.is_some_and(|payload| payload.is_null() || payload.is_string())
}

proptest! {
    #[test]
    fn every_payload_comes_back(
        context in contexts(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let sent = Envelope::new().seal(&context, &payload);
        let opened = open(&sent);
        prop_assert_eq!(&*opened.payload, &*payload);
        let parent = opened.extraction.parent.clone();
        let span = context.span().span_context().clone();
        prop_assert_eq!(parent.is_some(), span.is_valid());
        if let Some(parent) = parent {
            prop_assert_eq!(parent.span_id(), span.span_id());
            prop_assert_eq!(parent.trace_state(), span.trace_state());
        }
        prop_assert_eq!(opened.extraction.base.baggage().len(), context.baggage().len());
    }

    #[test]
    fn every_json_payload_comes_back(context in contexts(), payload in json()) {
        let sent = Envelope::new().seal(&context, payload.as_bytes());
        prop_assert_eq!(&*open(&sent).payload, payload.as_bytes());
    }

    #[test]
    fn envelopes_in_envelopes_come_back(contexts in prop::collection::vec(contexts(), 1..5), payload in json()) {
        let envelope = Envelope::new();
        let mut messages = vec![payload.into_bytes()];
        for context in &contexts {
            let sent = envelope.seal(context, messages.last().unwrap()).into_owned();
            messages.push(sent);
        }
        while let (Some(sent), Some(meant)) = (messages.pop(), messages.last()) {
            prop_assert_eq!(&*open(&sent).payload, meant);
        }
    }

    #[test]
    fn foreign_json_comes_back_untouched(message in json()) {
        let opened = open(message.as_bytes());
        if opened.was_sealed {
            prop_assert!(may_be_envelope(&message));
        } else {
            prop_assert_eq!(&*opened.payload, message.as_bytes());
        }
    }

    #[test]
    fn foreign_bytes_come_back_untouched(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let opened = open(&message);
        prop_assert!(!opened.was_sealed);
        prop_assert_eq!(&*opened.payload, &*message);
    }
}
