//! The ways to get past the stamp, one by one.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use towline_forwarder::stamp::FORWARDED_FOR;
use towline_forwarder::{Place, StampErrorKind};

use crate::wire::{
    forged, group, key, len, list, list_pair, long_len, padded, pair, resource_spans, scope_spans,
    span, varint,
};
use crate::{alice, check};

#[track_caller]
fn assert_removed(name: &str, request: &[u8]) {
    assert!(contains(request, b"mallory"), "{name}: nothing is forged");
    let batch = check::stamped(&alice(), "alice", request)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!contains(batch.bytes(), b"mallory"), "{name}");
}

#[track_caller]
fn assert_kept(name: &str, request: &[u8], kept: &[u8]) {
    assert!(contains(request, kept), "{name}");
    let batch = check::stamped(&alice(), "alice", request)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(contains(batch.bytes(), kept), "{name}");
}

#[track_caller]
fn assert_refused(name: &str, request: &[u8]) {
    let error = check::stamped(&alice(), "alice", request).expect_err(name);
    assert_eq!(error.kind(), StampErrorKind::Malformed, "{name}");
    assert!(std::error::Error::source(&error).is_some(), "{name}");
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// A `KeyValue` content with text in one place and nothing special about it.
fn honest() -> Vec<u8> {
    pair("honest", "value")
}

#[test]
fn removed_wherever_a_request_has_attributes() {
    let twice = |number| [len(number, forged()), len(number, forged())].concat();
    for (name, request) in [
        ("resource", resource_spans(len(1, twice(1)))),
        ("scope", scope_spans(len(1, twice(3)))),
        ("span", span(twice(9))),
        ("event", span(len(11, twice(3)))),
        ("link", span(len(13, twice(4)))),
        ("without a scope or a resource", span(len(9, forged()))),
    ] {
        assert_removed(name, &request);
    }
}

#[test]
fn removed_between_other_fields_in_any_order() {
    let fields = [
        len(9, honest()),
        len(9, forged()),
        len(5, "name"),
        len(9, forged()),
        [&key(16, 5)[..], &[1, 3, 0, 0]].concat(),
        len(9, honest()),
        len(15, len(2, "message")),
    ];
    for turn in 0..fields.len() {
        let mut turned = fields.clone();
        turned.rotate_left(turn);
        assert_removed("turned", &span(turned.concat()));
        turned.reverse();
        assert_removed("reversed", &span(turned.concat()));
    }
}

#[test]
fn removed_from_messages_that_decoders_merge() {
    let resource = |pair: Vec<u8>| len(1, len(1, pair));
    let spans = len(2, len(2, ""));
    for (name, request) in [
        (
            "the second resource",
            [resource(honest()), spans.clone(), resource(forged())].concat(),
        ),
        (
            "the first resource",
            [resource(forged()), spans.clone(), resource(honest())].concat(),
        ),
        (
            "an empty last resource",
            [resource(forged()), spans, len(1, "")].concat(),
        ),
    ] {
        assert_removed(name, &resource_spans(request));
    }
    let scope = |pair: Vec<u8>| len(1, len(3, pair));
    assert_removed(
        "the second scope",
        &scope_spans([scope(honest()), len(2, ""), scope(forged())].concat()),
    );
    // The list is made of two, in one value and in two.
    let values = |list: &[Vec<u8>]| len(6, crate::wire::list(list));
    let (first, second) = (values(&[honest()]), values(&[forged()]));
    for value in [
        [len(1, "a"), len(2, [&first[..], &second].concat())].concat(),
        [len(1, "a"), len(2, &first), len(2, &second)].concat(),
        [len(2, &first), len(1, "a"), len(2, &second)].concat(),
    ] {
        assert_removed("a list in two parts", &span(len(9, value)));
    }
}

#[test]
fn the_last_resource_is_stamped_since_some_decoders_take_only_that() {
    let request = resource_spans([len(1, ""), len(1, "")].concat());
    let batch = alice().apply(&Bytes::from(request)).unwrap();
    let attribute = len(1, pair(FORWARDED_FOR, "alice"));
    let expected = resource_spans([len(1, ""), len(1, attribute)].concat());
    assert_eq!(batch.bytes(), &expected);
}

#[test]
fn removed_if_any_of_several_keys_is_ours() {
    let ours = len(1, FORWARDED_FOR);
    let value = len(2, len(1, "mallory"));
    for (name, pair) in [
        ("ours is last", [&len(1, "b")[..], &ours, &value].concat()),
        ("ours is first", [&ours[..], &len(1, "b"), &value].concat()),
        (
            "ours is in the middle",
            [&len(1, "b")[..], &ours, &len(1, "c"), &value].concat(),
        ),
        (
            "around the value",
            [&ours[..], &value, &len(1, "b")].concat(),
        ),
        ("behind the value", [&value[..], &ours].concat()),
        (
            "behind a later field",
            [&key(99, 0)[..], &[1], &ours, &value].concat(),
        ),
        (
            "an empty key behind",
            [&ours[..], &value, &len(1, "")].concat(),
        ),
    ] {
        assert_removed(name, &span(len(9, pair)));
    }
}

#[test]
fn removed_behind_keys_and_lengths_that_are_longer_than_needed() {
    let pair = [
        long_len(1, FORWARDED_FOR),
        long_len(2, long_len(1, "mallory")),
    ]
    .concat();
    let long = |numbers: &[u32], pair: &[u8]| {
        numbers
            .iter()
            .rev()
            .fold(pair.to_vec(), |content, number| long_len(*number, content))
    };
    for numbers in [
        &[1, 1, 1][..],
        &[1, 2, 1, 3],
        &[1, 2, 2, 9],
        &[1, 2, 2, 11, 3],
        &[1, 2, 2, 13, 4],
    ] {
        assert_removed("long", &long(numbers, &pair));
        assert_removed("long around", &long(numbers, &forged()));
    }
    assert_removed("long inside", &span(len(9, &pair)));
    assert_removed(
        "a key of two bytes",
        &span(len(
            9,
            [
                &[0x8a, 0][..],
                &len(1, FORWARDED_FOR)[1..],
                &len(2, len(1, "mallory")),
            ]
            .concat(),
        )),
    );
}

#[test]
fn removed_from_nested_values() {
    let array = |values: &[Vec<u8>]| {
        let values: Vec<u8> = values.iter().flat_map(|value| len(1, value)).collect();
        [len(1, "array"), len(2, len(5, values))].concat()
    };
    let in_list = len(6, list(&[honest(), forged(), honest()]));
    for (name, pair) in [
        ("list", list_pair("list", &[honest(), forged()])),
        ("list of nothing else", list_pair("list", &[forged()])),
        ("empty key", list_pair("", &[forged()])),
        ("array", array(std::slice::from_ref(&in_list))),
        (
            "list in a list",
            list_pair("a", &[list_pair("b", &[forged()])]),
        ),
        (
            "list in an array in a list",
            list_pair("a", &[array(&[in_list])]),
        ),
    ] {
        for field in [
            len(9, &pair),
            len(11, len(3, &pair)),
            len(13, len(4, &pair)),
        ] {
            assert_removed(name, &span(field));
        }
        assert_removed(name, &resource_spans(len(1, len(1, &pair))));
        assert_removed(name, &scope_spans(len(1, len(3, &pair))));
    }
}

#[test]
fn removed_where_flattened_keys_make_ours() {
    for (name, pair) in [
        (
            "two parts",
            list_pair("teleport", &[honest(), pair("forwarded.for", "mallory")]),
        ),
        (
            "two parts, the other way",
            list_pair("teleport.forwarded", &[pair("for", "mallory"), honest()]),
        ),
        (
            "three parts",
            list_pair(
                "teleport",
                &[list_pair("forwarded", &[pair("for", "mallory")])],
            ),
        ),
        (
            "a list of something",
            list_pair(
                "teleport.forwarded",
                &[list_pair("for", &[pair("x", "mallory")])],
            ),
        ),
        (
            "through an array",
            [
                len(1, "teleport.forwarded"),
                len(2, len(5, len(1, len(6, list(&[pair("for", "mallory")]))))),
            ]
            .concat(),
        ),
    ] {
        assert_removed(name, &span(len(9, &pair)));
        assert_removed(name, &resource_spans(len(1, len(1, &pair))));
    }
    for pair in [
        list_pair("teleport", &[pair("for", "kept")]),
        list_pair("other", &[pair("forwarded.for", "kept")]),
        list_pair(
            "teleport",
            &[list_pair("x", &[pair("forwarded.for", "kept")])],
        ),
        list_pair("teleport.", &[pair("forwarded.for", "kept")]),
        pair("forwarded.for", "kept"),
    ] {
        assert_kept("another path", &span(len(9, &pair)), &pair);
    }
}

#[test]
fn other_keys_are_kept() {
    for name in [
        "Teleport.Forwarded.For",
        "TELEPORT.FORWARDED.FOR",
        "teleport.forwarded.for ",
        " teleport.forwarded.for",
        "teleport.forwarded.for\0",
        "teleport.forwarded.fo",
        "teleport.forwarded.for.x",
        "t\u{435}leport.forwarded.for",
        "teleport\u{ff0e}forwarded.for",
        "teleport.forwarded.for\u{200b}",
        "",
    ] {
        let pair = pair(name, "kept");
        assert_kept(name, &span(len(9, &pair)), &pair);
    }
    // A string table is for profiles; a request of spans has none.
    let indexed = [&key(3, 0)[..], &[1], &len(2, len(1, "kept"))].concat();
    assert_kept("a key by index", &span(len(9, &indexed)), &indexed);
    let counted = [&key(10, 0)[..], &[7], &len(9, honest())].concat();
    assert_kept("dropped attributes", &span(&counted), &counted);
    let reference = len(3, [len(2, "user"), len(3, FORWARDED_FOR)].concat());
    assert_kept("an entity", &resource_spans(len(1, &reference)), &reference);
}

#[test]
fn what_no_reader_takes_for_an_attribute_is_kept() {
    let later = len(17, forged());
    for request in [
        later.clone(),
        resource_spans(&later),
        resource_spans(len(1, &later)),
        scope_spans(&later),
        scope_spans(len(1, &later)),
        span(&later),
        span(len(9, [&honest()[..], &later].concat())),
        span(len(11, &later)),
        span(len(15, &later)),
    ] {
        assert_kept("a later field", &request, &later);
    }
    let text = span(len(5, [&b"text "[..], &len(9, b"forged")].concat()));
    assert_kept("text that looks like a field", &text, b"text J\x06forged");
    let name = len(5, forged());
    assert_kept("text that is an attribute", &span(&name), &name);
}

#[test]
fn the_field_that_only_the_collector_reads_is_taken_for_what_it_is() {
    let scope_spans = [
        len(1, len(3, forged())),
        len(2, len(9, forged())),
        len(2, len(5, "kept")),
    ]
    .concat();
    let old = resource_spans(len(1000, &scope_spans));
    assert_removed("alone", &old);
    let batch = check::stamped(&alice(), "alice", &old).unwrap();
    assert_eq!(batch.spans(), 2);
    assert!(contains(batch.bytes(), b"kept"));

    // Without anything to change inside.
    let place = alice().place(Place::Resource);
    let batch = place
        .apply(&Bytes::from(resource_spans(len(
            1000,
            len(2, len(5, "kept")),
        ))))
        .unwrap();
    let attribute = len(1, pair(FORWARDED_FOR, "alice"));
    let spans = len(2, len(2, len(5, "kept")));
    assert_eq!(
        batch.bytes(),
        &resource_spans([len(1, attribute), spans].concat())
    );

    let both = resource_spans([len(1000, &scope_spans), len(2, len(2, ""))].concat());
    assert_removed("beside scope_spans", &both);
    let batch = check::stamped(&alice(), "alice", &both).unwrap();
    assert_eq!(batch.spans(), 1);
    assert_refused("as a group", &resource_spans(group(1000, len(2, ""))));
}

#[test]
fn refused_where_decoders_disagree() {
    let overlong = [
        FORWARDED_FOR.as_bytes().split_at(8).0,
        b"\xc0\xae",
        b"forwarded.for",
    ]
    .concat();
    for (name, request) in [
        ("key that is not UTF-8", span(len(9, pair(b"a\xff", "")))),
        ("key with an overlong dot", span(len(9, pair(overlong, "")))),
        (
            "value that is not UTF-8",
            span(len(9, [len(1, "a"), len(2, len(1, b"\xff"))].concat())),
        ),
        ("name that is not UTF-8", span(len(5, b"\xff"))),
        (
            "scope name that is not UTF-8",
            scope_spans(len(1, len(1, b"\xc0\x80"))),
        ),
        (
            "schema_url that is not UTF-8",
            resource_spans(len(3, b"\xed\xa0\x80")),
        ),
        ("attributes as a group", span(group(9, forged()))),
        ("a span as a group", scope_spans(group(2, len(9, forged())))),
        ("a request as a group", group(1, len(2, ""))),
        (
            "attributes as a number",
            span([&key(9, 0)[..], &[1]].concat()),
        ),
        ("a number as packed numbers", span(len(10, [1, 2]))),
        ("a time as a number", span([&key(7, 0)[..], &[1]].concat())),
        (
            "flags of eight bytes",
            span([&key(16, 1)[..], &[0; 8]].concat()),
        ),
        (
            "a key as a number",
            span(len(9, [&key(1, 0)[..], &[1]].concat())),
        ),
        (
            "a value as a group",
            span(len(9, [&len(1, "a")[..], &group(2, "")].concat())),
        ),
        ("a key index as text", span(len(9, len(3, "a")))),
        // 2^32 more than the key of `attributes`.
        (
            "a key beyond 32 bits",
            span([&varint((1 << 32) + 0x4a)[..], &len(9, forged())[1..]].concat()),
        ),
        (
            "a key of six bytes",
            span([&padded(0x4a, 6)[..], &len(9, forged())[1..]].concat()),
        ),
        (
            "a length of six bytes",
            span([&[0x4a][..], &padded(forged().len() as u64, 6), &forged()].concat()),
        ),
        // 2^32 more than the length of what follows.
        (
            "a length beyond 32 bits",
            span(
                [
                    &[0x4a][..],
                    &varint((1 << 32) + forged().len() as u64),
                    &forged(),
                ]
                .concat(),
            ),
        ),
        (
            "a key with an overflowing tenth byte",
            span(
                [
                    &[0xca, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2][..],
                    &len(9, forged())[1..],
                ]
                .concat(),
            ),
        ),
        ("field number 0", span([0x02, 0x00])),
        ("wire type 7", span([0x4f])),
        ("a group", span(group(17, ""))),
        (
            // In the Collector's eyes it ends behind its first field.
            "a group around an attribute",
            span(group(
                17,
                [&key(1, 0)[..], &[1], &len(9, forged())].concat(),
            )),
        ),
        ("a group in a later message's place", group(17, "")),
        ("a group that does not end", span(key(17, 3))),
        ("an end without a group", span(key(17, 4))),
        ("a short trace id", span(len(1, [1; 15]))),
        ("a long trace id", span(len(1, [1; 17]))),
        ("a span id like a trace id", span(len(2, [1; 16]))),
        ("a short parent", span(len(4, [1; 7]))),
        ("a short trace id of a link", span(len(13, len(1, [1; 8])))),
        ("a long span id of a link", span(len(13, len(2, [1; 9])))),
        ("a span that is cut short", scope_spans([0x12, 5, 0x4a])),
        (
            "an attribute beyond its span",
            scope_spans([&[0x12, 3, 0x4a, 9][..], &[0; 20]].concat()),
        ),
    ] {
        assert_refused(name, &request);
        // The same through the long way: what is in the way of a plain attribute.
        assert_refused(name, &[request, resource_spans("")].concat());
    }
}

#[test]
fn refused_behind_an_attribute_as_well() {
    // What is nothing special goes a shorter way; what is behind it does not.
    for (name, behind) in [
        ("a group", group(17, "")),
        ("a key of six bytes", [padded(0x4a, 6), vec![0]].concat()),
        ("a length of six bytes", [vec![0x4a], padded(0, 6)].concat()),
        ("a name that is not UTF-8", len(5, b"\xff")),
    ] {
        assert_refused(name, &span([len(9, honest()), behind].concat()));
    }
}

/// Every field of every message, in every form: taken if prost takes it, but for groups and ids.
#[test]
fn takes_of_every_field_what_a_decoder_takes() {
    let contents: [&[u8]; 5] = [b"", b"\xff", b"\xc3\xa9", &[0; 8], &[0; 16]];
    let forms = |number| {
        let mut forms: Vec<_> = contents
            .iter()
            .map(|content| len(number, content))
            .collect();
        forms.push([key(number, 0), varint(u64::MAX)].concat());
        forms.push([&key(number, 1)[..], &[0xff; 8]].concat());
        forms.push(group(number, ""));
        forms.push([&key(number, 5)[..], &[0xff; 4]].concat());
        forms
    };
    let mut refused = 0;
    // Where the message is: the fields that lead to it.
    for path in [
        &[][..],
        &[1],           // ResourceSpans
        &[1, 1],        // Resource
        &[1, 1, 3],     // EntityRef
        &[1, 2],        // ScopeSpans
        &[1, 2, 1],     // InstrumentationScope
        &[1, 2, 2],     // Span
        &[1, 2, 2, 11], // Event
        &[1, 2, 2, 13], // Link
        &[1, 2, 2, 15], // Status
        &[1, 2, 2, 9],  // KeyValue
        &[1, 2, 2, 9, 2],
        &[1, 2, 2, 9, 2, 5],    // ArrayValue
        &[1, 2, 2, 9, 2, 6],    // KeyValueList
        &[1, 2, 2, 9, 2, 6, 1], // and what is in it
        &[1, 2, 2, 9, 2, 5, 1],
    ] {
        for (number, form) in
            (1..20).flat_map(|number| forms(number).into_iter().map(move |form| (number, form)))
        {
            let request = path
                .iter()
                .rev()
                .fold(form.clone(), |content, number| len(*number, content));
            let id_bytes = match (path, number) {
                ([1, 2, 2] | [1, 2, 2, 13], 1) => Some(16),
                ([1, 2, 2], 2 | 4) | ([1, 2, 2, 13], 2) => Some(8),
                _ => None,
            };
            let content_bytes = form.len() - 2;
            let expected = ExportTraceServiceRequest::decode(&request[..]).is_ok()
                && form != group(number, "")
                && id_bytes.is_none_or(|bytes| [0, bytes].contains(&content_bytes));
            let found = check::stamped(&alice(), "alice", &request);
            assert_eq!(found.is_ok(), expected, "{path:?} {number}: {form:?}");
            refused += usize::from(!expected);
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn refused_where_it_nests_deeper_than_decoders_go() {
    // Five levels above the value; two for each list in it.
    let nested = |lists: usize, innermost: Vec<u8>| {
        let value = (0..lists).fold(innermost, |value, _| len(5, len(1, value)));
        span(len(9, [len(1, "a"), len(2, value)].concat()))
    };
    let decodes = |request: &[u8]| ExportTraceServiceRequest::decode(request).is_ok();
    assert_kept("deep", &nested(47, len(1, "kept")), b"kept");
    assert!(decodes(&nested(47, vec![])));
    assert_refused("deeper", &nested(48, vec![]));
    assert!(!decodes(&nested(49, vec![])));

    // A list of pairs at the limit: their short way must not go further than the long one.
    for lists in 40..60 {
        for innermost in [
            len(6, list(&[pair("a", "kept")])),
            len(6, list(&[pair("\u{e4}", "kept")])),
        ] {
            let request = nested(lists, innermost);
            assert_eq!(
                check::stamped(&alice(), "alice", &request).is_ok(),
                lists <= 45,
                "{lists}"
            );
        }
    }
}
