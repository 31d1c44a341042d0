//! Trace context in a query: against a plain decoder of forms, and there and back.

use opentelemetry::Context;
use towline_propagation::{
    TraceParent, query,
    tracestate::{self, List},
};

#[test]
fn query() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let Ok(text) = std::str::from_utf8(text) else {
            return;
        };
        let base = Context::new();
        let extraction = query::extract(text, &base);
        let values = |key: &str| -> Vec<Vec<u8>> {
            if text.len() > query::MAX_BYTES {
                return Vec::new();
            }
            let pairs = text
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs
                .filter(|(name, _)| decoded(name) == key.as_bytes())
                .map(|(_, value)| decoded(value))
                .collect()
        };
        let (parents, lists) = (values("traceparent"), values("tracestate"));
        assert_eq!(query::is_present(text), !parents.is_empty(), "{text:?}");
        let expected = match &*parents {
            [one] => TraceParent::parse(one).ok(),
            _ => None,
        };
        let rejected = extraction.rejected;
        assert_eq!(
            rejected.traceparent,
            !parents.is_empty() && expected.is_none()
        );
        let cx = extraction.clone().into_context();
        let sent = query::inject(&cx);
        assert_eq!(
            extraction
                .parent
                .as_ref()
                .and_then(TraceParent::from_span_context),
            expected,
            "{text:?}"
        );
        let Some(parent) = expected else {
            assert_eq!(sent, None);
            return;
        };
        let list = match &*lists {
            [one] => List::parse([&one[..]]).ok(),
            _ => None,
        };
        assert_eq!(
            rejected.tracestate,
            !lists.is_empty() && list.is_none(),
            "{text:?}"
        );
        let sent = sent.expect("there is a parent");
        assert!(
            sent.starts_with(&format!("traceparent={parent}")),
            "{text:?}"
        );
        let list = list.unwrap_or_default().to_string();
        if list.len() > tracestate::MAX_BYTES {
            // It is shortened, which the target `tracestate` checks.
            return;
        }
        let back = query::extract(&sent, &base);
        let back_list = sent
            .split_once("&tracestate=")
            .map(|(_, list)| decoded(list));
        assert_eq!(
            String::from_utf8(back_list.unwrap_or_default()).expect("it is text"),
            list,
            "{text:?}"
        );
        assert_eq!(query::inject(&back.into_context()), Some(sent), "{text:?}");
    });
}

/// As a form is decoded, the slow way; a key has no space, so that a plus sign in it makes no difference.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.replace('+', " ").into_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            let legal = digits.chars().all(|digit| digit.is_ascii_hexdigit());
            legal.then(|| u8::from_str_radix(digits, 16).ok())?
        });
        match (bytes[at], digits) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

const WORDS: &[&str] = &[
    "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "&tracestate=",
    "tracestate=congo=1,rojo=2",
    "tr%61ceparent=",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
    "traceparent",
    "tracestate",
    "foo@@bar=1",
    "a%3D1%2C",
    "%2D",
    "%",
    "+",
    "&",
    "=",
    ",",
    "a",
    "A",
];
