//! Jaeger's own headers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt},
};
use proptest::prelude::*;
use support::{Plain, child, headers, local, pairs, passed_on, read, span, written};
use towline_propagation::{JaegerPropagator, Propagator, PropagatorKind};

fn jaeger() -> Propagator {
    Propagator::of([PropagatorKind::Jaeger])
}

#[track_caller]
fn assert_reads(value: &str, expected: Option<(u128, u64, u8)>) {
    let parent = span(&read(&jaeger(), &[("uber-trace-id", value)]));
    let found = parent.is_valid().then(|| {
        assert!(parent.is_remote(), "{value}");
        (
            u128::from_be_bytes(parent.trace_id().to_bytes()),
            u64::from_be_bytes(parent.span_id().to_bytes()),
            parent.trace_flags().to_u8(),
        )
    });
    assert_eq!(found, expected, "{value}");
    let extraction = jaeger().extract(&headers(&[("uber-trace-id", value)]), &Context::new());
    assert_eq!(extraction.rejected.jaeger, expected.is_none(), "{value}");
    assert_eq!(extraction.rejected.any(), expected.is_none(), "{value}");
}

#[test]
fn ids_and_flags_are_read_by_the_documentation() {
    for (value, expected) in [
        (
            "000000000000004d0000000000000016:0000000000017c29:0:1",
            (0x4d_0000_0000_0000_0016, 0x17c29, 1),
        ),
        // Shorter values are padded.
        (
            "4d0000000000000016:17c29:0:1",
            (0x4d_0000_0000_0000_0016, 0x17c29, 1),
        ),
        ("1:2:3:0", (1, 2, 0)),
        (
            "269daf90c4589ce1:5c44cd976d8f8cd9:39e8e549de678267:01",
            (0x269daf90c4589ce1, 0x5c44cd976d8f8cd9, 1),
        ),
        // A base of 16 has two cases.
        ("AB:CD:0:1", (0xab, 0xcd, 1)),
        // To be debugged, beside sampled and alone; not used; firehose.
        ("1:2:0:3", (1, 2, 1)),
        ("1:2:0:2", (1, 2, 0)),
        ("1:2:0:4", (1, 2, 0)),
        ("1:2:0:9", (1, 2, 1)),
        ("1:2:0:ff", (1, 2, 1)),
        ("1:2:0:10", (1, 2, 0)),
        // Encoded, as some clients do it.
        ("1%3A2%3A0%3A1", (1, 2, 1)),
        ("1%3a2%3A0%3a1", (1, 2, 1)),
        (" 1:2:0:1\t", (1, 2, 1)),
    ] {
        assert_reads(value, Some(expected));
    }
}

#[test]
fn what_is_illegal_is_as_good_as_absent() {
    for value in [
        "",
        ":",
        ":::",
        "1",
        "1:2:3",
        "1:2:0:1:",
        "1:2:0:1:1",
        ":1:2:0:1",
        "1::0:1",
        "1:2::1",
        "1:2:0:",
        "0:2:0:1",
        "00000000000000000000000000000000:2:0:1",
        "1:0:0:1",
        "1:0000000000000000:0:1",
        "000000000000000000000000000000001:2:0:1",
        "1:00000000000000002:0:1",
        "1:2:00000000000000000:1",
        "1:2:0:001",
        "1:2:0:0x01",
        "1:2:0:g",
        "1:2:x:1",
        "+1:2:0:1",
        "1:+2:0:1",
        "1:2:+0:1",
        "1:2:0:+1",
        "-1:2:0:1",
        "1:2:0: 1",
        "1 :2:0:1",
        "1%3A2%3A0%3B1",
        "1%2A2%3A0%3A1",
        "1:2%3A0:1",
        "%3A1%3A2%3A1",
        "\u{661}:2:0:1",
    ] {
        assert_reads(value, None);
    }
}

#[test]
fn two_values_are_none() {
    for other in ["1:2:0:1", "", "3:4:0:1"] {
        let lines = [("uber-trace-id", "1:2:0:1"), ("uber-trace-id", other)];
        assert!(!span(&read(&jaeger(), &lines)).is_valid(), "{other}");
        let extraction = jaeger().extract(&headers(&lines), &Context::new());
        assert!(extraction.rejected.jaeger, "{other}");
    }
}

#[test]
fn writes_whole_ids_and_one_digit_of_flags() {
    for (flags, expected) in [(0, "0"), (1, "1"), (2, "0"), (3, "1")] {
        let value = format!("00000000000000000000000000000009:0000000000000007:0:{expected}");
        assert_eq!(
            written(&jaeger(), &local(9, flags)),
            pairs(&[("uber-trace-id", &value)])
        );
    }
    assert_eq!(written(&jaeger(), &Context::new()), []);
}

#[test]
fn debug_is_passed_on_along_the_whole_trace() {
    let cx = read(&jaeger(), &[("uber-trace-id", "9:8:0:3")]);
    for (cx, end) in [
        (cx.clone(), ":3"),
        (child(&cx, 1), ":3"),
        (child(&cx, 0), ":0"),
        (cx.with_remote_span_context(span(&local(5, 1))), ":1"),
    ] {
        let sent = written(&jaeger(), &cx);
        assert!(sent[0].1.ends_with(end), "{sent:?}");
    }
}

#[cfg(feature = "b3")]
#[test]
fn debug_goes_from_one_format_into_the_other() {
    let both = Propagator::of([PropagatorKind::B3, PropagatorKind::Jaeger]);
    let cx = read(&both, &[("uber-trace-id", "9:8:0:3")]);
    let sent = written(&both, &child(&cx, 1));
    assert!(
        sent[0].1.ends_with("-d") && sent[1].1.ends_with(":3"),
        "{sent:?}"
    );
}

#[test]
fn baggage_has_a_header_for_each_entry() {
    let cx = Context::new().with_baggage([
        KeyValue::new("key1", "value 1 / blah"),
        KeyValue::new("user", "Am\u{e9}lie"),
        KeyValue::new("a.b_c-d~e", "a.b_c-d~e%"),
    ]);
    let expected = [
        ("uberctx-a.b_c-d~e", "a.b_c-d~e%25"),
        ("uberctx-key1", "value%201%20%2F%20blah"),
        ("uberctx-user", "Am%C3%A9lie"),
    ];
    assert_eq!(written(&jaeger(), &cx), pairs(&expected));
    assert_eq!(passed_on(&jaeger(), &expected), pairs(&expected));
}

#[test]
fn baggage_is_read_beside_what_there_is() {
    let base = Context::new().with_baggage([KeyValue::new("a", "1"), KeyValue::new("b", "2")]);
    let lines = [
        ("Uberctx-B", "3"),
        ("uberctx-c", "100%"),
        ("uberctx-", "no key"),
        ("uberctx", "another field"),
        ("xuberctx-d", "another field"),
    ];
    let direct = jaeger().extract(&headers(&lines), &base).into_context();
    let other = jaeger().extract_with_context(&base, &support::fields(&lines));
    for cx in [direct, other] {
        let baggage = cx.baggage();
        let get = |key: &str| baggage.get(key).map(|value| value.as_str().to_owned());
        assert_eq!(baggage.len(), 3, "{baggage:?}");
        assert_eq!(get("a").as_deref(), Some("1"));
        assert_eq!(get("b").as_deref(), Some("3"));
        assert_eq!(get("c").as_deref(), Some("100%"));
    }
    let extraction = jaeger().extract(&HeaderMap::new(), &base);
    assert_eq!(extraction.base.baggage().len(), 2);
}

#[test]
fn a_key_that_is_no_token_is_left_out() {
    let cx = jaeger().extract_with_context(
        &Context::new(),
        &support::fields(&[
            ("uberctx-a b", "1"),
            ("uberctx-a=b", "1"),
            ("uberctx-ok", "1"),
        ]),
    );
    assert_eq!(cx.baggage().len(), 1);
}

#[test]
fn baggage_has_limits() {
    let lines: Vec<(String, String)> = (0..100)
        .map(|n| (format!("uberctx-k{n:02}"), "v".to_owned()))
        .collect();
    let lines: Vec<(&str, &str)> = lines
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let cx = read(&jaeger(), &lines);
    assert_eq!(cx.baggage().len(), 64);
    assert_eq!(written(&jaeger(), &cx).len(), 64);

    let long = "%41".repeat(3000);
    let cx = read(&jaeger(), &[("uberctx-long", &long)]);
    assert_eq!(cx.baggage().len(), 0);

    // Encoded it is three times as long.
    let cx = Context::new().with_baggage([
        KeyValue::new("a", "?".repeat(4000)),
        KeyValue::new("b", "fits"),
    ]);
    assert_eq!(
        written(&jaeger(), &cx),
        pairs(&[("uberctx-b", "fits")]),
        "12 kB of question marks"
    );
}

#[test]
fn a_proxy_s_copy_does_not_outlive_a_change() {
    let copied = headers(&[("uberctx-old", "1"), ("uberctx-kept", "1"), ("x-a", "1")]);
    let mut map = copied.clone();
    jaeger().inject(
        &Context::new().with_baggage([KeyValue::new("kept", "2")]),
        &mut map,
    );
    assert_eq!(map, headers(&[("uberctx-kept", "2"), ("x-a", "1")]));
    // Without baggage of its own a context has nothing to say about it.
    let mut map = copied.clone();
    jaeger().inject(&Context::new(), &mut map);
    assert_eq!(map, copied);
}

#[test]
fn a_switched_off_hop_sees_all_that_can_be_read() {
    for (name, present) in [
        ("uber-trace-id", true),
        ("uberctx-a", true),
        ("uberctx", false),
        ("baggage", false),
    ] {
        assert_eq!(
            jaeger().fields_present(&headers(&[(name, "1")])),
            present,
            "{name}"
        );
    }
    assert!(JaegerPropagator::new().fields().eq(["uber-trace-id"]));
    assert_eq!(jaeger().names(), ["uber-trace-id"]);
}

#[test]
fn works_on_a_carrier_that_answers_for_one_value_only() {
    let carrier = Plain(&[("uber-trace-id", "1:2:0:1"), ("uberctx-a", "1")]);
    let cx = JaegerPropagator::new().extract_with_context(&Context::new(), &carrier);
    assert!(span(&cx).is_valid());
    assert_eq!(cx.baggage().len(), 0, "it does not know its keys");
}

#[test]
fn hostile_headers_are_not_looked_at() {
    for unit in [":", "1:", "%3A", "0"] {
        let long = unit.repeat(64 * 1024 / unit.len());
        let map = headers(&[("uber-trace-id", &long), ("uberctx-a", &long)]);
        let info = allocation_counter::measure(|| {
            let extraction = jaeger().extract(&map, &Context::new());
            assert!(extraction.parent.is_none() && extraction.rejected.jaeger);
        });
        assert!(info.bytes_max < 1024, "{unit}: {} bytes", info.bytes_max);
    }
}

proptest! {
    #[test]
    fn garbage_never_makes_an_invalid_parent(
        values in proptest::collection::vec(
            prop_oneof!["[ -~]{0,80}", "[0-9a-fA-F:%+x]{0,80}", "[0-9a-f]{1,34}:[0-9a-f]{0,17}:[0-9a-f]{0,17}:[0-9a-f]{0,3}"],
            0..3,
        ),
    ) {
        let lines: Vec<(&str, &str)> = values.iter().map(|value| ("uber-trace-id", value.as_str())).collect();
        let parent = span(&read(&jaeger(), &lines));
        prop_assert!(parent.is_valid() || parent == SpanContext::NONE);
    }

    #[test]
    fn what_is_written_is_read(
        trace_id in 1_u128..,
        span_id in 1_u64..,
        flags in 0_u8..2,
        baggage in proptest::collection::btree_map("[a-z][a-z0-9_-]{0,10}", any::<String>(), 0..5),
    ) {
        let value = format!("{trace_id:x}:{span_id:x}:0:{flags}");
        let cx = read(&jaeger(), &[("uber-trace-id", &value)])
            .with_baggage(baggage.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
        prop_assert_eq!(span(&cx).trace_id(), trace_id.into());
        let sent = written(&jaeger(), &cx);
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let back = read(&jaeger(), &sent);
        prop_assert_eq!(span(&back), span(&cx));
        for (key, value) in &baggage {
            prop_assert_eq!(back.baggage().get(key).map(|value| value.as_str()), Some(value.as_str()));
        }
        prop_assert_eq!(back.baggage().len(), baggage.len());
    }
}
