//! B3: both forms against a plain reading of the specification. A text is the values of the headers, one a line.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Context, trace::TraceContextExt};
use towline_propagation::{Propagator, PropagatorKind};

#[test]
fn b3() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let propagators =
            [PropagatorKind::B3, PropagatorKind::B3Multi].map(|kind| Propagator::of([kind]));
        let mut headers = HeaderMap::new();
        let mut values = [const { None }; 5];
        let lines = text.split(|byte| *byte == b'\n');
        for ((name, place), line) in NAMES.iter().zip(&mut values).zip(lines) {
            // An empty line is no header.
            let (Ok(value), Ok(line)) = (HeaderValue::from_bytes(line), str::from_utf8(line))
            else {
                continue;
            };
            if line.is_empty() || value.to_str().is_err() {
                continue;
            }
            headers.insert(HeaderName::from_static(name), value);
            *place = Some(line.trim_matches([' ', '\t']));
        }
        let shown = text.escape_ascii().to_string();
        let expected = plainly(values);
        for propagator in &propagators {
            let extraction = propagator.extract(&headers, &Context::new());
            let read = match &extraction.parent {
                None => Plain::Nothing,
                Some(parent) => {
                    assert!(parent.is_valid() && parent.is_remote(), "{shown}");
                    if expected == Plain::Denied {
                        assert!(!parent.is_sampled(), "{shown}");
                        Plain::Denied
                    } else {
                        Plain::Parent(
                            parent.trace_id().to_string(),
                            parent.span_id().to_string(),
                            parent.is_sampled(),
                        )
                    }
                }
            };
            assert_eq!(read, expected, "{shown}");
            let cx = extraction.into_context();
            for writer in &propagators {
                let mut sent = HeaderMap::new();
                writer.inject(&cx, &mut sent);
                assert_eq!(sent.is_empty(), read == Plain::Nothing, "{shown}");
                let back = propagator.extract(&sent, &Context::new()).into_context();
                let (span, back) = (cx.span(), back.span());
                let (span, back) = (span.span_context(), back.span_context());
                assert_eq!(span.trace_id(), back.trace_id(), "{shown}");
                assert_eq!(span.span_id(), back.span_id(), "{shown}");
                assert_eq!(span.is_sampled(), back.is_sampled(), "{shown}");
            }
        }
    });
}

#[derive(Debug, PartialEq, Eq)]
enum Plain {
    Parent(String, String, bool),
    Denied,
    Nothing,
}

/// What the values say, the slow way.
fn plainly([single, trace_id, span_id, sampled, flags]: [Option<&str>; 5]) -> Plain {
    if single == Some("0") {
        return Plain::Denied;
    }
    let parts: Vec<&str> = single.unwrap_or_default().split('-').collect();
    let legal = |id: &str, len: usize| {
        id.len() == len && id.chars().all(|c| "0123456789abcdef".contains(c))
    };
    let is_trace_id = |id: &str| (legal(id, 16) || legal(id, 32)) && id.contains(|c| c != '0');
    let is_span_id = |id: &str| legal(id, 16) && id.contains(|c| c != '0');
    let parent = |trace_id, span_id: &str, sampled| {
        Plain::Parent(format!("{trace_id:0>32}"), span_id.to_owned(), sampled)
    };
    if let [trace_id, span_id, rest @ ..] = &*parts
        && is_trace_id(trace_id)
        && is_span_id(span_id)
    {
        let state = rest.first().copied().unwrap_or("0");
        let above = rest.get(1).copied().unwrap_or("0000000000000001");
        if rest.len() <= 2 && ["0", "1", "d"].contains(&state) && legal(above, 16) {
            return parent(*trace_id, span_id, state != "0");
        }
    }
    let debug = flags == Some("1");
    if let (Some(trace_id), Some(span_id)) = (trace_id, span_id) {
        let sampled = match sampled {
            _ if debug => Some(true),
            None | Some("0" | "false") => Some(false),
            Some("1" | "true") => Some(true),
            Some(_) => None,
        };
        return match sampled {
            Some(sampled) if is_trace_id(trace_id) && is_span_id(span_id) => {
                parent(trace_id, span_id, sampled)
            }
            _ => Plain::Nothing,
        };
    }
    let alone = single.is_none() && trace_id.is_none() && span_id.is_none();
    if alone && !debug && matches!(sampled, Some("0" | "false")) {
        return Plain::Denied;
    }
    Plain::Nothing
}

const NAMES: [&str; 5] = [
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
];

const WORDS: &[&str] = &[
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "a3ce929d0e0e4736",
    "0000000000000000",
    "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
    "a3ce929d0e0e4736-00f067aa0ba902b7-d-00f067aa0ba902b7",
    "\n4bf92f3577b34da6a3ce929d0e0e4736\n00f067aa0ba902b7\n1\n",
    "\na3ce929d0e0e4736\n00f067aa0ba902b7\n\n1",
    "\n\n\n0",
    "-",
    "\n",
    "0",
    "1",
    "d",
    "true",
    "false",
    "F",
    "+",
    " ",
];
