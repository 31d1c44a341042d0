//! Bounds: spans, bytes, and what an answer may cost.

use bytes::Bytes;
use towline_forwarder::{Place, StampErrorKind};

use crate::alice;
use crate::wire::{len, pair, resource_spans, scope_spans, span};

#[test]
fn spans_up_to_the_limit() {
    let request = |spans: usize| Bytes::from(scope_spans(len(2, "").repeat(spans)));
    for place in [Place::ResourceAndSpans, Place::Resource, Place::Spans] {
        let stamp = alice().place(place).max_spans(3);
        assert_eq!(stamp.apply(&request(3)).unwrap().spans(), 3);
        let error = stamp.apply(&request(4)).unwrap_err();
        assert_eq!(error.kind(), StampErrorKind::TooManySpans);
        assert_eq!(error.to_string(), "the request has more than 3 spans");
    }
    // They are counted over all resources and scopes.
    let two = Bytes::from([request(2), request(2)].concat());
    assert!(alice().max_spans(3).apply(&two).is_err());
}

#[test]
fn bytes_up_to_the_limit_before_and_after() {
    let request = Bytes::from(span(len(5, "name")));
    let exact = alice().apply(&request).unwrap().len_bytes();
    assert!(alice().max_bytes(exact).apply(&request).is_ok());
    let too_small = alice().max_bytes(exact - 1).apply(&request).unwrap_err();
    assert_eq!(too_small.kind(), StampErrorKind::TooLarge);
    assert!(
        too_small
            .to_string()
            .contains(&format!("{} bytes", exact - 1))
    );

    // What gets smaller is measured by what came.
    let forged = pair(towline_forwarder::stamp::FORWARDED_FOR, &"x".repeat(500));
    let request = Bytes::from(span(len(9, forged)));
    assert!(alice().max_bytes(400).apply(&request).is_err());
    assert!(alice().max_bytes(request.len()).apply(&request).is_ok());
}

#[test]
fn nothing_is_copied_where_nothing_changes() {
    for (request, place) in [
        (vec![], Place::ResourceAndSpans),
        (
            len(2, "a field of a later version"),
            Place::ResourceAndSpans,
        ),
        (resource_spans(""), Place::Spans),
        (resource_spans(len(1, len(1, pair("a", "b")))), Place::Spans),
    ] {
        let request = Bytes::from(request);
        let batch = alice().place(place).apply(&request).unwrap();
        assert_eq!(batch.bytes(), &request);
        assert_eq!(batch.bytes().as_ptr(), request.as_ptr());
        assert_eq!(batch.spans(), 0);
    }
}

#[test]
fn the_smallest_things_do_not_cost_the_most() {
    // Each of two bytes, which become sixty.
    let resources = Bytes::from(resource_spans("").repeat(2_000_000));
    let stamp = alice().max_bytes(8 << 20);
    let error = stamp.apply(&resources).unwrap_err();
    assert_eq!(error.kind(), StampErrorKind::TooLarge);
    let spans = Bytes::from(scope_spans(len(2, "").repeat(3_000_000)));
    let error = alice().apply(&spans).unwrap_err();
    assert_eq!(error.kind(), StampErrorKind::TooManySpans);
    let error = stamp.max_spans(usize::MAX).apply(&spans).unwrap_err();
    assert_eq!(error.kind(), StampErrorKind::TooLarge);
}
