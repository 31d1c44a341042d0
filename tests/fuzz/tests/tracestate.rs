//! `tracestate`: the parser against a plain reading of the specification, and what a hop makes of a list.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use towline_propagation::{
    Propagator, TRACEPARENT, TRACESTATE,
    tracestate::{List, MAX_BYTES, MAX_MEMBERS},
};

#[test]
fn tracestate() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let shown = text.escape_ascii().to_string();
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let members = plainly(&lines);
        let parsed = List::parse(lines.iter().copied()).ok();
        let parsed = parsed.map(|list| {
            list.iter()
                .map(|member| format!("{}={}", member.key(), member.value()))
                .collect()
        });
        assert_eq!(parsed, members, "{shown:?}");

        let sent = hop(&lines);
        match &members {
            Some(members) if members.join(",").len() <= MAX_BYTES => {
                assert_eq!(
                    sent.as_deref().unwrap_or_default(),
                    members.join(","),
                    "{shown:?}"
                );
            }
            Some(members) => {
                let sent = sent.as_deref().unwrap_or_default();
                assert!(sent.len() <= MAX_BYTES, "{shown:?}");
                let mut rest = members.iter();
                assert!(
                    sent.split(',')
                        .all(|member| rest.any(|other| other == member)),
                    "{shown:?}"
                );
            }
            None => assert_eq!(sent, None, "{shown:?}"),
        }
        assert_ne!(sent.as_deref(), Some(""), "{shown:?}");
        if let Some(sent) = sent {
            assert_eq!(hop(&[sent.as_bytes()]), Some(sent), "{shown:?}");
        }
    });
}

/// What one hop sends that changes nothing.
fn hop(lines: &[&[u8]]) -> Option<String> {
    let mut headers = HeaderMap::new();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    headers.insert(TRACEPARENT, HeaderValue::from_static(parent));
    for line in lines {
        // A line that cannot be in a header map spoils the list, as any illegal line does.
        let line = HeaderValue::from_bytes(line).unwrap_or(HeaderValue::from_static("?"));
        headers.append(TRACESTATE, line);
    }
    let propagator = Propagator::w3c();
    let context = propagator.extract(&headers, &Context::new()).into_context();
    let mut sent = HeaderMap::new();
    propagator.inject(&context, &mut sent);
    assert_eq!(sent.get(TRACEPARENT), headers.get(TRACEPARENT));
    let names: Vec<&HeaderName> = sent.keys().collect();
    assert_eq!(sent.len(), names.len(), "one line of each");
    sent.get(TRACESTATE)
        .map(|value| value.to_str().expect("ASCII").to_owned())
}

/// The members of the list, or nothing if it is illegal, the slow way.
fn plainly(lines: &[&[u8]]) -> Option<Vec<String>> {
    let text = String::from_utf8(lines.join(&b',')).ok()?;
    if text.len() > 32 * 1024 - 1 {
        return None;
    }
    let members = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let members: Vec<&str> = members.filter(|member| !member.is_empty()).collect();
    if members.len() > MAX_MEMBERS {
        return None;
    }
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for member in members {
        let (key, value) = member.split_once('=')?;
        let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let legal_key =
            key.starts_with(first) && key.chars().all(|c| first(c) || "_-*/@".contains(c));
        let legal_value =
            !value.is_empty() && value.chars().all(|c| (' '..='~').contains(&c) && c != '=');
        if !legal_key || !legal_value || key.len() > 256 || value.len() > 256 {
            return None;
        }
        if kept.iter().all(|(other, _)| *other != key) {
            kept.push((key, value));
        }
    }
    Some(
        kept.iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
    )
}

const WORDS: &[&str] = &[
    "=",
    ",",
    "\n",
    "=1,",
    "a",
    "b=2,",
    "foo",
    "foo=1,",
    "@",
    "foo@@bar=1,",
    "t@vendor=2,",
    "0",
    " ",
    "\t",
    " \t, ",
    "A",
    "k1=v,k2=v,k3=v,k4=v,k5=v,k6=v,k7=v,k8=v,",
    "l1=v,l2=v,l3=v,l4=v,l5=v,l6=v,l7=v,l8=v,",
    "m1=v,m2=v,m3=v,m4=v,m5=v,m6=v,m7=v,m8=v,",
    "n1=v,n2=v,n3=v,n4=v,n5=v,n6=v,n7=v,n8=v,",
    HUNDRED_BYTES,
    "x=long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long,",
    LONGEST,
];

const HUNDRED_BYTES: &str = "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-";

/// 256 bytes.
const LONGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
