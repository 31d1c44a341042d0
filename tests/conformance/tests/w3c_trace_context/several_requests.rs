//! Several requests sent for one that was received. Each test has the name it has in the W3C suite.

use std::collections::HashSet;

use crate::hop::{CALLER, PARENT, TRACE, hop_on_each_path};

#[test]
fn multiple_requests_with_valid_traceparent() {
    for sent in hop_on_each_path(&[("traceparent", PARENT)], 3) {
        assert!(sent.iter().all(|sent| sent.trace_id == TRACE));
        let spans: HashSet<&str> = sent.iter().map(|sent| sent.span_id.as_str()).collect();
        assert_eq!(spans.len(), 3);
        assert!(!spans.contains(CALLER));
    }
}

#[test]
fn multiple_requests_without_traceparent() {
    for sent in hop_on_each_path(&[], 3) {
        let spans: HashSet<&str> = sent.iter().map(|sent| sent.span_id.as_str()).collect();
        assert_eq!(spans.len(), 3);
    }
}

#[test]
fn multiple_requests_with_illegal_traceparent() {
    let zero = "00000000000000000000000000000000";
    for sent in hop_on_each_path(&[("traceparent", &PARENT.replace(TRACE, zero))], 3) {
        assert!(sent.iter().all(|sent| sent.trace_id != zero));
        let spans: HashSet<&str> = sent.iter().map(|sent| sent.span_id.as_str()).collect();
        assert_eq!(spans.len(), 3);
    }
}
