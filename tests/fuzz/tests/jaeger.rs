//! `uber-trace-id`: the parser against a plain reading of the documentation.

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use towline_propagation::{Propagator, PropagatorKind, jaeger::UBER_TRACE_ID};

#[test]
fn jaeger() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let Ok(value) = HeaderValue::from_bytes(text) else {
            return;
        };
        let propagator = Propagator::of([PropagatorKind::Jaeger]);
        let headers = HeaderMap::from_iter([(UBER_TRACE_ID, value)]);
        let extraction = propagator.extract(&headers, &Context::new());
        let shown = text.escape_ascii().to_string();
        let read = extraction.parent.as_ref().map(|parent| {
            assert!(parent.is_valid() && parent.is_remote(), "{shown}");
            let (trace_id, span_id) = (parent.trace_id(), parent.span_id());
            (
                trace_id.to_string(),
                span_id.to_string(),
                parent.is_sampled(),
            )
        });
        assert_eq!(read, plainly(text), "{shown}");
        assert_eq!(extraction.rejected.jaeger, read.is_none(), "{shown}");

        let mut sent = HeaderMap::new();
        propagator.inject(&extraction.into_context(), &mut sent);
        assert_eq!(sent.is_empty(), read.is_none(), "{shown}");
        if let Some(value) = sent.get(UBER_TRACE_ID) {
            assert_eq!(plainly(value.as_bytes()), read, "{shown}");
        }
    });
}

/// The ids, of full length, and whether the trace is sampled, the slow way.
fn plainly(text: &[u8]) -> Option<(String, String, bool)> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let mut text = text.trim_matches([' ', '\t']).to_owned();
    if !text.contains(':') {
        text = text.replace("%3A", ":").replace("%3a", ":");
    }
    let parts: [&str; 4] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
    for (part, max) in parts.iter().zip([32, 16, 16, 2]) {
        if part.is_empty()
            || part.len() > max
            || !part.chars().all(|c| "0123456789abcdefABCDEF".contains(c))
        {
            return None;
        }
    }
    let (trace_id, span_id) = (
        format!("{:0>32}", parts[0].to_lowercase()),
        format!("{:0>16}", parts[1].to_lowercase()),
    );
    let zero = |id: &str| id.chars().all(|c| c == '0');
    if zero(&trace_id) || zero(&span_id) {
        return None;
    }
    let odd = parts[3].ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f', 'B', 'D', 'F']);
    Some((trace_id, span_id, odd))
}

const WORDS: &[&str] = &[
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00f067aa0ba902b7",
    "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1",
    "4bf92f3577b34da6a3ce929d0e0e4736%3A00f067aa0ba902b7%3a0%3A3",
    "1:2:0:",
    ":0:1",
    ":",
    "%3A",
    "%3a",
    "%",
    "0",
    "1",
    "F",
    "+",
    " ",
];
